# cmake -D build=<build tree> -D work=<scratch> -D target=<one of ours that runs here>
#       -D compiler=<c++> -D generator=<name> -D program=<ninja> -P install_test.cmake
# Installs into a fresh prefix, then builds and runs the project in consumer/ against it.

function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE "${work}")
run("${CMAKE_COMMAND}" --install "${build}" --prefix "${work}/prefix")
# Elsewhere from where it was installed: a package that knows its first place is found out here.
file(RENAME "${work}/prefix" "${work}/moved")
run("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/consumer" -B "${work}/build" -G "${generator}"
    "-DCMAKE_MAKE_PROGRAM=${program}" "-DCMAKE_CXX_COMPILER=${compiler}"
    "-DCMAKE_PREFIX_PATH=${work}/moved" "-DTARGET=${target}" -DCMAKE_BUILD_TYPE=Release)
run("${CMAKE_COMMAND}" --build "${work}/build")
run("${work}/build/consumer")
run("${work}/build/c_host")
run("${work}/build/raw")
foreach(program IN ITEMS consumer_of_shared consumer_of_mpi)
  if(EXISTS "${work}/build/${program}")
    run("${work}/build/${program}")
  endif()
endforeach()

# Without CMake: one command, for either library.
find_program(pkg_config NAMES pkgconf pkg-config)
if(pkg_config)
  file(GLOB_RECURSE pc_file "${work}/moved/*/halnorm.pc")
  cmake_path(GET pc_file PARENT_PATH pc_folder)
  cmake_path(GET pc_folder PARENT_PATH libraries)
  set(ENV{PKG_CONFIG_PATH} "${pc_folder}")
  foreach(package IN ITEMS halnorm halnorm-static)
    execute_process(
      COMMAND "${pkg_config}" --cflags --libs ${package} OUTPUT_VARIABLE flags
      OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY
    )
    separate_arguments(flags UNIX_COMMAND "${flags}")
    set(program "${work}/${package}")
    run("${compiler}" "${CMAKE_CURRENT_LIST_DIR}/consumer/main.cpp" -o "${program}" ${flags})
    run("${CMAKE_COMMAND}" -E env "LD_LIBRARY_PATH=${libraries}" "${program}")
  endforeach()
else()
  message(STATUS "there is no pkg-config, so that its files are not tried")
endif()

# What is installed must not lead back to where it was built.
file(GLOB_RECURSE texts "${work}/moved/*.cmake" "${work}/moved/*.h" "${work}/moved/*.pc"
     "${work}/moved/*.json")
foreach(text IN LISTS texts)
  file(READ "${text}" content)
  string(FIND "${content}" "${build}" place)
  if(NOT place EQUAL -1)
    message(FATAL_ERROR "${text} names the build tree")
  endif()
endforeach()
