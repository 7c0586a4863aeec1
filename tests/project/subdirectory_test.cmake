# cmake -D source=<halnorm> -D work=<scratch> -D compiler=<c++> -D generator=<name>
#       -D program=<ninja> -P subdirectory_test.cmake
# Configures a project that has halnorm as a subdirectory and no build type: halnorm's own objects
# are optimized nevertheless. Without Halide, the message says how to get it.

set(configure
    "${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/consumer/subdirectory" -G "${generator}"
    "-DCMAKE_MAKE_PROGRAM=${program}" "-DCMAKE_CXX_COMPILER=${compiler}" "-DHALNORM=${source}"
    -DCMAKE_EXPORT_COMPILE_COMMANDS=ON
)
file(REMOVE_RECURSE "${work}")
execute_process(COMMAND ${configure} -B "${work}/found" COMMAND_ERROR_IS_FATAL ANY)
file(STRINGS "${work}/found/compile_commands.json" commands REGEX "\"command\".*view\\.cpp")
if(NOT commands MATCHES " -O2 " OR NOT commands MATCHES " -DNDEBUG ")
  message(FATAL_ERROR "halnorm is not optimized as a subdirectory: ${commands}")
endif()
if(commands MATCHES " -Werror ")
  message(FATAL_ERROR "warnings of halnorm's are errors of its user's: ${commands}")
endif()

execute_process(
  COMMAND ${configure} -DCMAKE_DISABLE_FIND_PACKAGE_HalideHelpers=ON -B "${work}/missing"
  RESULT_VARIABLE failed OUTPUT_QUIET ERROR_VARIABLE message
)
if(NOT failed OR NOT message MATCHES "Halide 21.*is not found.*pip install")
  message(FATAL_ERROR "without Halide there is no word how it can be had: ${message}")
endif()
