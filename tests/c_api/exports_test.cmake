# cmake -D nm=<nm> -D library=<libhalnorm.a> -D source=<source tree> -P exports_test.cmake
# Checks that halnorm_c.h declares the library's C symbols, that each function of functional*.h has
# a counterpart in C, and that docs/c_api.md names every function.

cmake_minimum_required(VERSION 3.20) # IN_LIST

file(READ "${source}/include/halnorm/halnorm_c.h" header)
string(REGEX MATCHALL "HALNORM_C_API [^(;]* \\*?halnorm_[a-z0-9_]+\\(" declarations "${header}")
list(TRANSFORM declarations REPLACE ".*(halnorm_[a-z0-9_]+)\\($" "\\1" OUTPUT_VARIABLE declared)
list(SORT declared)
list(LENGTH declared count)
if(count LESS 20)
  message(FATAL_ERROR "only ${count} functions are found in halnorm_c.h: ${declared}")
endif()

execute_process(
  COMMAND "${nm}" --defined-only --extern-only --format=posix "${library}"
  OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY
)
string(REGEX MATCHALL "\nhalnorm_[a-z0-9_]+ [A-Za-z]" symbols "${listing}")
list(TRANSFORM symbols REPLACE "\n(halnorm_[a-z0-9_]+) .*" "\\1" OUTPUT_VARIABLE exported)
list(SORT exported)
if(NOT exported STREQUAL declared)
  message(FATAL_ERROR "halnorm_c.h declares\n${declared}\nbut the library has\n${exported}")
endif()

foreach(name functional functional_fused)
  file(READ "${source}/include/halnorm/${name}.h" functions)
  string(REGEX MATCHALL "\n[A-Za-z]+ [a-z_]+\\(const Tensor&|\nMoments merge\\(" names
         "${functions}")
  list(TRANSFORM names REPLACE "\n[A-Za-z]+ ([a-z_]+)\\(.*" "\\1")
  if(NOT names)
    message(FATAL_ERROR "no functions are found in ${name}.h")
  endif()
  # In C, the training functions update running statistics if they are given.
  list(TRANSFORM names REPLACE "_train_update$" "_train")
  foreach(function IN LISTS names)
    if(NOT "halnorm_${function}" IN_LIST declared)
      message(FATAL_ERROR "${function}() of ${name}.h is not in halnorm_c.h")
    endif()
  endforeach()
endforeach()

file(READ "${source}/docs/c_api.md" document)
foreach(function IN LISTS declared)
  if(NOT document MATCHES "`${function}[`(]")
    message(FATAL_ERROR "docs/c_api.md does not name ${function}()")
  endif()
endforeach()
