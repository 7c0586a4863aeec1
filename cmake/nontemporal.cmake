# Rewrites the assembly of a kernel for data beyond the caches, as Halide 21 has no non-temporal
# stores. Reads `from`, writes `to`. When a later Halide has such stores, only this file, its test
# and HALNORM_NONTEMPORAL go. Depends on
# - LLVM's comments, which name a loop at its label and at the blocks around it;
# - the names of the loops over a row's lines (generators/schedule/cpu/aligned_output.h);
# - AT&T syntax.
#
# Of the loops that Halide calls rebased, a row has two, one after the other:
# - whole lines: an aligned store of a vector becomes a non-temporal store of the same operands,
#   which needs the same alignment. Stores to the stack are not changed.
# - its last line: masked stores, which have no non-temporal form. For elements of 16 bits AVX2 has
#   none: each element has a block of its own, which LLVM calls cond.store.
# Any other loop of this name is an error. So is one that comments name, but no label, and so are
# loops that are no pairs.

set(name "[0-9]+_for_[^\n\"]*_aligned\\.s1\\.[^\n\"]*\\$y\\.rebased")
set(labelled_loop "(^|\n)\\.L(BB[0-9_]+):[^\n\"]*\"(${name})(\\.us)*\"\n")
set(aligned_store "(\tvmov)(ap[sd]|dqa)(64|32)?(\t%[xyz]mm[0-9]+, [^\n{]*\\(%[^\n{]*\\))\n")
# Where rbp is no frame pointer it holds any address.
set(stack "(-?[0-9]*\\(%rsp|-[0-9]+\\(%rbp\\))")
set(to_stack "nt>(ap[sd]|dqa)(\t%[xyz]mm[0-9]+, ${stack}[^\n]*\n)")
set(masked_store "\tvp?maskmov[a-z]+\t%[xy]mm[0-9]+, %")
string(APPEND masked_store "|\tvmov[a-z0-9]+\t%[xyz]mm[0-9]+, [^\n%]*\\(%[^\n]*{%k")
set(line_bytes 64)
set(bytes_of_x 16)
set(bytes_of_y 32)
set(bytes_of_z 64)

function(fail what)
  message(FATAL_ERROR "${from}: ${what}. Configure with -DHALNORM_NONTEMPORAL=off to build without "
                      "non-temporal stores.")
endfunction()

file(READ "${from}" source)
set(rest "${source}")
set(assembly "")
set(whole "")
set(last "")
set(labelled "")
while(rest MATCHES "${labelled_loop}")
  set(block "${CMAKE_MATCH_2}")
  set(loop_name "${CMAKE_MATCH_3}")
  string(FIND "${rest}" "${CMAKE_MATCH_0}" at)
  string(LENGTH "${CMAKE_MATCH_0}" length)
  math(EXPR begin "${at} + ${length}")
  string(SUBSTRING "${rest}" 0 ${begin} before)
  string(SUBSTRING "${rest}" ${begin} -1 rest)
  string(FIND "${rest}" "\n.L" end)
  math(EXPR end "${end} + 1")
  string(SUBSTRING "${rest}" 0 ${end} loop)
  string(SUBSTRING "${rest}" ${end} -1 rest)
  string(REGEX REPLACE "${aligned_store}" "\\1nt>\\2\\4\n" loop "${loop}")
  string(REGEX REPLACE "${to_stack}" "\\1\\2" loop "${loop}")
  string(REGEX REPLACE "nt>ap([sd])" "ntp\\1" loop "${loop}")
  string(REPLACE "nt>dqa" "ntdq" loop "${loop}")
  set(bytes 0)
  string(REGEX MATCHALL "\tvmovnt[a-z]+\t%[xyz]" stores "${loop}")
  foreach(store IN LISTS stores)
    string(REGEX REPLACE "^.*%" "" register "${store}")
    math(EXPR bytes "${bytes} + ${bytes_of_${register}}")
  endforeach()
  math(EXPR part_of_line "${bytes} % ${line_bytes}")
  set(element_store "%cond\\.store[0-9]*\n[^\n]* Header=${block} ")
  if(bytes GREATER 0 AND part_of_line EQUAL 0)
    list(APPEND whole ${loop_name})
  elseif(bytes EQUAL 0 AND (loop MATCHES "${masked_store}" OR source MATCHES "${element_store}"))
    list(APPEND last ${loop_name})
  else()
    fail("the loop at .L${block}, ${loop_name}, stores neither aligned whole lines nor masked ones")
  endif()
  list(APPEND labelled ${loop_name})
  string(APPEND assembly "${before}${loop}")
endwhile()

string(REPLACE "_for_" "_(end_)?for_" mention "${name}")
string(REGEX MATCHALL "${mention}" mentions "${source}")
foreach(mention IN LISTS mentions)
  string(REPLACE "_end_for_" "_for_" loop_name "${mention}")
  list(FIND labelled "${loop_name}" place)
  if(place EQUAL -1)
    fail("the loop ${loop_name} has no label")
  endif()
endforeach()
list(LENGTH whole pairs)
list(LENGTH last ends)
if(pairs EQUAL 0 OR NOT pairs EQUAL ends)
  fail("loops over whole lines: '${whole}', over a last line: '${last}', which are not pairs")
endif()
file(WRITE "${to}" "${assembly}${rest}")
