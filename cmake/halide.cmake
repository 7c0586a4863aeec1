# Finds Halide: through -DHalideHelpers_DIR or CMAKE_PREFIX_PATH if given, otherwise in the virtual
# environment that `./dev setup` makes in the source tree. Nothing is downloaded.

if(NOT HalideHelpers_DIR)
  file(GLOB_RECURSE halide_configs LIST_DIRECTORIES false
       "${PROJECT_SOURCE_DIR}/.venv/lib/*/HalideHelpersConfig.cmake")
  if(halide_configs)
    list(GET halide_configs 0 halide_config)
    cmake_path(GET halide_config PARENT_PATH halide_helpers_dir)
    cmake_path(GET halide_helpers_dir PARENT_PATH halide_cmake_dir)
    list(APPEND CMAKE_PREFIX_PATH "${halide_cmake_dir}")
  endif()
endif()
find_package(HalideHelpers 21 QUIET)
if(NOT HalideHelpers_FOUND)
  message(FATAL_ERROR "halnorm: Halide 21, which compiles the kernels, is not found. Run"
                      " ./dev setup in ${PROJECT_SOURCE_DIR}. Or run"
                      " pip install halide==21.0.0, and pass"
                      " -DCMAKE_PREFIX_PATH=<site-packages>/halide/lib64/cmake.")
endif()

# The two headers of Halide that the public headers include, and that the package contains.
cmake_path(GET HalideHelpers_DIR PARENT_PATH halide_package_dir)
cmake_path(GET halide_package_dir PARENT_PATH halide_lib_dir)
cmake_path(GET halide_lib_dir PARENT_PATH halide_root)
find_path(
  HALNORM_HALIDE_INCLUDE_DIR HalideBuffer.h
  HINTS "${halide_root}/include" "${halide_lib_dir}/include" REQUIRED NO_CMAKE_FIND_ROOT_PATH
)
mark_as_advanced(HALNORM_HALIDE_INCLUDE_DIR)
set(halide_tools_dir "${halide_root}/share/tools")

set(halnorm_halide_include "${PROJECT_BINARY_DIR}/halide_include")
foreach(header HalideBuffer.h HalideRuntime.h)
  configure_file("${HALNORM_HALIDE_INCLUDE_DIR}/${header}" "${halnorm_halide_include}/${header}"
                 COPYONLY)
endforeach()
add_library(halnorm_halide_headers INTERFACE)
target_include_directories(
  halnorm_halide_headers SYSTEM
  INTERFACE "$<BUILD_INTERFACE:${halnorm_halide_include}>"
            "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/halnorm/halide>"
)
