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
run("${work}/build/raw")

# What is installed must not lead back to where it was built.
file(GLOB_RECURSE texts "${work}/moved/*.cmake" "${work}/moved/*.h")
foreach(text IN LISTS texts)
  file(READ "${text}" content)
  string(FIND "${content}" "${build}" place)
  if(NOT place EQUAL -1)
    message(FATAL_ERROR "${text} names the build tree")
  endif()
endforeach()
