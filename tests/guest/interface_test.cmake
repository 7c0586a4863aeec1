# cmake -D nm=<nm> -D library=<shared object> -D objects=<objects, by commas>
#       -P interface_test.cmake
# Fails if objects that use the whole public interface need a name of halnorm that the shared object
# does not export.

function(halnorm_names out)
  execute_process(
    COMMAND "${nm}" --format=posix ${ARGN} OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY
  )
  string(REGEX MATCHALL "_Z[A-Z]*N[A-Z]*7halnorm[^ \n@]*" names "${listing}")
  list(REMOVE_DUPLICATES names)
  set(${out} "${names}" PARENT_SCOPE)
endfunction()

string(REPLACE "," ";" objects "${objects}")
halnorm_names(wanted --undefined-only ${objects})
halnorm_names(defined --defined-only ${objects})
halnorm_names(exported --dynamic --defined-only "${library}")
list(LENGTH wanted count)
if(count LESS 100)
  message(FATAL_ERROR "the objects want ${count} names only")
endif()
list(REMOVE_ITEM wanted ${defined} ${exported})
if(wanted)
  list(JOIN wanted "\n" wanted)
  message(FATAL_ERROR "${library} does not export:\n${wanted}")
endif()
message(STATUS "${library} exports the ${count} names that the tests use")
