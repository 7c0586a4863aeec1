# cmake -D nm=<nm> -D archive=<Halide's runtime> -D map=<file> -D header=<file>
#       -P private_symbols.cmake
# Gives every symbol that the archive defines the prefix halnorm_: `map` is the list for objcopy,
# `header` has macros around Halide's own declarations.

execute_process(
  COMMAND "${nm}" --defined-only --extern-only --format=posix "${archive}"
  OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY
)
string(REGEX MATCHALL "(^|\n)[A-Za-z_][A-Za-z0-9_]* [A-Z] " symbols "${listing}")
list(TRANSFORM symbols REPLACE "^\n?([A-Za-z0-9_]+) .*$" "\\1")
if(NOT "halide_malloc" IN_LIST symbols)
  message(FATAL_ERROR "${archive} does not define halide_malloc:\n${listing}")
endif()
list(SORT symbols)
list(REMOVE_DUPLICATES symbols)

set(renamed "")
set(macros "")
foreach(symbol IN LISTS symbols)
  string(APPEND renamed "${symbol} halnorm_${symbol}\n")
  if(symbol MATCHES "^halide_")
    string(APPEND macros "#define ${symbol} halnorm_${symbol}\n")
  endif()
endforeach()
file(WRITE "${map}" "${renamed}")
file(WRITE "${header}" "// The declarations of Halide's runtime under the names of this library's "
                       "private copy.\n#pragma once\n#pragma GCC system_header // for #include_next"
                       "\n\n${macros}\n#include_next <HalideRuntime.h>\n")
