# What Halide 21 cannot say of a kernel for data beyond the caches, said in its assembly: `from`,
# written to `to`.
# - The stores of its output, if it `writes` one, go past the caches: in the loop over whole lines,
#   which LLVM's comments name, a store of a vector at an aligned address becomes such a store of
#   the same operands, which asks for the same alignment. Stores with a mask have no such form, and
#   those to the stack stay.
# - What it fetches ahead goes into the nearest cache. Halide's fetches ask to be kept out of the
#   others, which costs more than they gain: decision 015.

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
