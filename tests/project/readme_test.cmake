# cmake -D source=<source tree> -P readme_test.cmake
# The README's first C++ block has to be, word for word, what examples/readme.cpp compiles and runs.

file(READ "${source}/README.md" readme)
file(READ "${source}/examples/readme.cpp" program)

# Cuts out what stands between two marks; an absent mark is an error.
function(between text first last out)
  string(FIND "${text}" "${first}" start)
  if(start EQUAL -1)
    message(FATAL_ERROR "no '${first}'")
  endif()
  string(LENGTH "${first}" length)
  math(EXPR start "${start} + ${length}")
  string(SUBSTRING "${text}" ${start} -1 text)
  string(FIND "${text}" "${last}" end)
  if(end EQUAL -1)
    message(FATAL_ERROR "no '${last}' after '${first}'")
  endif()
  string(SUBSTRING "${text}" 0 ${end} text)
  string(STRIP "${text}" text)
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

between("${readme}" "```cpp\n" "```" shown)
between("${program}" "// README begins\n" "// README ends" compiled)
if(NOT shown STREQUAL compiled)
  message(FATAL_ERROR "README.md shows\n${shown}\nbut examples/readme.cpp has\n${compiled}")
endif()
if(shown STREQUAL "")
  message(FATAL_ERROR "the example is empty")
endif()
