# cmake -D nm=<nm> -D library=<shared object> -D allowed=<regex> -P exports_test.cmake
# Fails if the shared object exports a name that is not matched, or none at all.

execute_process(
  COMMAND "${nm}" --dynamic --defined-only --format=posix "${library}"
  OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY
)
string(REGEX MATCHALL "[^\n]+" lines "${listing}")
list(LENGTH lines count)
if(count EQUAL 0)
  message(FATAL_ERROR "${library} exports nothing")
endif()
list(FILTER lines EXCLUDE REGEX "${allowed}")
if(lines)
  list(JOIN lines "\n" lines)
  message(FATAL_ERROR "${library} exports names that are not halnorm's:\n${lines}")
endif()
message(STATUS "${library} exports ${count} names, all of them halnorm's")
