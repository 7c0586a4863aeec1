# cmake -D nm=<nm> -D program=<program> -D operations=<list> -P kernels_test.cmake
# Fails unless the program's kernels are those of the operations, in any layouts, dtypes and
# targets. Prints the size of the program.

execute_process(
  COMMAND "${nm}" --defined-only --format=posix "${program}"
  OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY
)
set(found "")
string(REGEX MATCHALL "halnorm_[a-z_]+_n?[cl]+_[bf0-9]+__[a-z0-9_]+_argv" kernels "${listing}")
foreach(kernel IN LISTS kernels)
  string(REGEX REPLACE "^halnorm_(.*)_(c|ncl|nlc)_b?f[0-9]+__.*$" "\\1" operation "${kernel}")
  list(APPEND found ${operation})
endforeach()
list(REMOVE_DUPLICATES found)
list(SORT found)
separate_arguments(operations)
list(SORT operations)
if(NOT found STREQUAL operations)
  message(FATAL_ERROR "${program} has kernels of '${found}', wanted '${operations}'")
endif()
list(LENGTH kernels count)
file(SIZE "${program}" size)
message(STATUS "${program}: ${count} kernels, ${size} bytes with symbols")
