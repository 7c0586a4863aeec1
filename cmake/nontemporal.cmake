# Rewrites the assembly of a kernel for data beyond the caches, as Halide 21 has no non-temporal
# stores. Reads `from`, writes `to`. Depends on LLVM's comments, which name a loop, on the name of
# the loop over whole lines (generators/schedule/cpu/aligned_output.h), and on AT&T syntax. When a
# later Halide has such stores, only this file and HALNORM_NONTEMPORAL go.
#
# In the loop over whole lines an aligned store of a vector becomes a non-temporal store of the same
# operands, which needs the same alignment. Masked stores have no non-temporal form; stores to the
# stack are not changed.

file(READ "${from}" rest)
set(lines_loop "\n(\\.LBB[^\n:]*:)[^\n]*_for_[^\n]*_aligned\\.s1\\.[^\n]*\\$y\\.rebased[^\n]*\n")
set(aligned_store "(\tvmov)(ap[sd]|dqa)(64|32)?(\t%[xyz]mm[0-9]+, [^\n{]*\\(%[^\n{]*\\))\n")
set(unaligned_store "\tvmov(up[sd]|dqu[0-9]*)\t%[xyz]mm[0-9]+, [^\n{]*\\(%[^\n{]*\\)\n")
set(to_stack "nt>(ap[sd]|dqa)(\t%[xyz]mm[0-9]+, -?[0-9]*\\(%r[sb]p[^\n]*\n)")
set(assembly "")
set(loops 0)
while(rest MATCHES "${lines_loop}")
  set(label "${CMAKE_MATCH_1}")
  string(FIND "${rest}" "${CMAKE_MATCH_0}" at)
  string(LENGTH "${CMAKE_MATCH_0}" length)
  math(EXPR begin "${at} + ${length}")
  string(SUBSTRING "${rest}" 0 ${begin} before)
  string(SUBSTRING "${rest}" ${begin} -1 rest)
  string(FIND "${rest}" "\n.LBB" end)
  string(SUBSTRING "${rest}" 0 ${end} loop)
  string(SUBSTRING "${rest}" ${end} -1 rest)
  string(REGEX REPLACE "${aligned_store}" "\\1nt>\\2\\4\n" loop "${loop}\n")
  string(REGEX REPLACE "${to_stack}" "\\1\\2" loop "${loop}")
  string(REGEX REPLACE "nt>ap([sd])" "ntp\\1" loop "${loop}")
  string(REPLACE "nt>dqa" "ntdq" loop "${loop}")
  if(loop MATCHES "vmovnt")
    math(EXPR loops "${loops} + 1")
  elseif(loop MATCHES "${unaligned_store}")
    message(FATAL_ERROR "${from}: the loop at ${label} stores whole lines, but not by aligned "
                        "stores of vectors. -DHALNORM_NONTEMPORAL=off builds without them.")
  endif()
  string(APPEND assembly "${before}${loop}")
endwhile()
if(loops EQUAL 0)
  message(FATAL_ERROR "${from}: no loop over whole lines is found. Configure with "
                      "-DHALNORM_NONTEMPORAL=off to build without non-temporal stores.")
endif()
file(WRITE "${to}" "${assembly}${rest}")
