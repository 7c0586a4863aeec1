# cmake -D build=<build tree> -D work=<scratch> -D target=<one of ours that runs here>
#       -D compiler=<c++> -D generator=<name> -D program=<ninja> -D cpack=<cpack>
#       -P install_test.cmake
# Makes the packages, unpacks each into a new folder, and there builds and runs the project in
# consumer/ by CMake, and its main.cpp by one command of the compiler.

set(consumer "${CMAKE_CURRENT_LIST_DIR}/consumer")

function(run)
  execute_process(COMMAND ${ARGV} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endfunction()

function(use_with_cmake prefix)
  set(tree "${prefix}.cmake-build")
  run("${CMAKE_COMMAND}" -S "${consumer}" -B "${tree}" -G "${generator}"
      "-DCMAKE_MAKE_PROGRAM=${program}" "-DCMAKE_CXX_COMPILER=${compiler}"
      "-DCMAKE_PREFIX_PATH=${prefix}" "-DTARGET=${target}" -DCMAKE_BUILD_TYPE=Release)
  run("${CMAKE_COMMAND}" --build "${tree}")
  foreach(name IN ITEMS consumer c_host c_host_without_exceptions raw consumer_of_shared)
    if(EXISTS "${tree}/${name}" OR NOT name STREQUAL "consumer_of_shared")
      run("${tree}/${name}")
    endif()
  endforeach()
endfunction()

# Builds without CMake: one command, for either library. The caller's own objects may be compiled
# with -flto.
function(use_with_pkg_config prefix)
  file(GLOB_RECURSE pc_file "${prefix}/*/halnorm.pc")
  cmake_path(GET pc_file PARENT_PATH pc_folder)
  cmake_path(GET pc_folder PARENT_PATH libraries)
  set(ENV{PKG_CONFIG_PATH} "${pc_folder}")
  foreach(package IN ITEMS halnorm halnorm-static)
    execute_process(
      COMMAND "${pkg_config}" --cflags --libs ${package} OUTPUT_VARIABLE flags
      OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY
    )
    separate_arguments(flags UNIX_COMMAND "${flags}")
    set(binary "${prefix}.${package}")
    run("${compiler}" -flto "${consumer}/main.cpp" -o "${binary}" ${flags})
    run("${CMAKE_COMMAND}" -E env "LD_LIBRARY_PATH=${libraries}" "${binary}")
  endforeach()
endfunction()

# With C++17 the first error of the compiler names the standard.
function(expect_word_on_old_cpp prefix)
  foreach(header IN ITEMS halnorm.h device.h nn/batch_norm.h)
    file(WRITE "${prefix}.cpp" "#include <halnorm/${header}>\n")
    execute_process(
      COMMAND "${compiler}" -std=c++17 -fsyntax-only "-I${prefix}/include" "${prefix}.cpp"
      RESULT_VARIABLE failed ERROR_VARIABLE message
    )
    string(REGEX MATCH "error: [^\n]*" first "${message}")
    if(NOT failed OR NOT first MATCHES "halnorm needs C\\+\\+20")
      message(FATAL_ERROR "C++17 includes ${header} and is told: ${first}")
    endif()
  endforeach()
endfunction()

# The installed files must not contain the path of the build tree.
function(expect_no_way_back prefix)
  file(GLOB_RECURSE texts "${prefix}/*.cmake" "${prefix}/*.h" "${prefix}/*.pc" "${prefix}/*.json")
  foreach(text IN LISTS texts)
    file(READ "${text}" content)
    string(FIND "${content}" "${build}" place)
    if(NOT place EQUAL -1)
      message(FATAL_ERROR "${text} names the build tree")
    endif()
  endforeach()
endfunction()

find_program(pkg_config NAMES pkgconf pkg-config)
find_program(dpkg_deb dpkg-deb)
set(kinds TGZ)
if(dpkg_deb)
  list(APPEND kinds DEB)
endif()
file(REMOVE_RECURSE "${work}")
foreach(kind IN LISTS kinds)
  run("${cpack}" --config "${build}/CPackConfig.cmake" -G ${kind} -B "${work}/packages")
endforeach()

file(GLOB archive "${work}/packages/*.tar.gz")
file(ARCHIVE_EXTRACT INPUT "${archive}" DESTINATION "${work}")
file(GLOB unpacked LIST_DIRECTORIES true "${work}/halnorm-*")
file(RENAME "${unpacked}" "${work}/archive")
set(prefixes "${work}/archive")
if(dpkg_deb)
  file(GLOB package "${work}/packages/*.deb")
  run("${dpkg_deb}" -x "${package}" "${work}/unpacked")
  list(APPEND prefixes "${work}/unpacked/usr")
else()
  message(STATUS "there is no dpkg-deb, so that the package for Debian is not tried")
endif()
foreach(prefix IN LISTS prefixes)
  expect_no_way_back("${prefix}")
  if(pkg_config)
    use_with_pkg_config("${prefix}")
  else()
    message(STATUS "there is no pkg-config, so that its files are not tried")
  endif()
endforeach()
list(GET prefixes -1 prefix)
use_with_cmake("${prefix}")
expect_word_on_old_cpp("${prefix}")
