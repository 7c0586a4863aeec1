# Rewrites the assembly of a kernel for data beyond the caches, because Halide 21 cannot express
# these two things. Reads `from`, writes `to`.
# - Non-temporal stores of the output, if the kernel `writes` one. In the loop over whole lines,
#   which LLVM's comments name, an aligned store of a vector becomes a non-temporal store of the
#   same operands, which needs the same alignment. Masked stores have no non-temporal form; stores
#   to the stack are not changed.
# - Prefetches to the first-level cache. Halide's prefetches bypass the other caches, which costs
#   more than they gain: decision 015.

file(READ "${from}" rest)
set(lines_loop "\n\\.LBB[^\n]*_for_[^\n]*_in_lines\\.s1\\.[^\n]*\\$y\\.rebased[^\n]*\n")
set(aligned "(\tvmov)(ap[sd]|dqa)(64|32)?(\t%[xyz]mm[0-9]+, [^\n{]*\\(%[^\n{]*\\))\n")
set(to_stack "nt>(ap[sd]|dqa)(\t%[xyz]mm[0-9]+, -?[0-9]*\\(%r[sb]p[^\n]*\n)")
set(assembly "")
while(rest MATCHES "${lines_loop}")
  string(FIND "${rest}" "${CMAKE_MATCH_0}" at)
  string(LENGTH "${CMAKE_MATCH_0}" length)
  math(EXPR begin "${at} + ${length}")
  string(SUBSTRING "${rest}" 0 ${begin} before)
  string(SUBSTRING "${rest}" ${begin} -1 rest)
  string(FIND "${rest}" "\n.LBB" end)
  string(SUBSTRING "${rest}" 0 ${end} loop)
  string(SUBSTRING "${rest}" ${end} -1 rest)
  string(REGEX REPLACE "${aligned}" "\\1nt>\\2\\4\n" loop "${loop}\n")
  string(REGEX REPLACE "${to_stack}" "\\1\\2" loop "${loop}")
  string(REGEX REPLACE "nt>ap([sd])" "ntp\\1" loop "${loop}")
  string(REPLACE "nt>dqa" "ntdq" loop "${loop}")
  string(APPEND assembly "${before}${loop}")
endwhile()
if(writes AND NOT assembly MATCHES "vmovnt")
  message(FATAL_ERROR "${from} has no aligned stores of whole vectors to turn into streaming ones")
endif()
string(REPLACE "\tprefetchnta\t" "\tprefetcht0\t" assembly "${assembly}${rest}")
if(NOT assembly MATCHES "prefetcht0")
  message(FATAL_ERROR "${from} fetches nothing ahead")
endif()
file(WRITE "${to}" "${assembly}")
