# Turns the stores of a kernel's output into streaming ones, which Halide 21 cannot make: in the
# assembly `from`, written to `to`, a store of a whole vector at an aligned address becomes a store
# past the caches of the same operands, which asks for the same alignment. Floats come by vmovaps
# and vmovapd; narrow data, of half a vector, by vmovdqa of the registers `narrow` (xmm or ymm) with
# an index, without which it clears sums on the stack.
# Stores with a mask have no such form; those to the stack stay.

file(READ "${from}" assembly)
# A CMake list would take what follows a semicolon, or stands in brackets, apart.
if(narrow)
  set(plain "(\tvmov)dqa(\t%${narrow}[0-9]+, -?[0-9]*\\(%[a-z0-9]+,[^\n{]*\\))\n")
  set(streaming "\\1nt>dq\\2\n")
else()
  set(plain "(\tvmov)ap([sd]\t%[yz]mm[0-9]+, [^\n{]*\\(%[^\n{]*\\))\n")
  set(streaming "\\1nt>p\\2\n")
endif()
string(REGEX REPLACE "${plain}" "${streaming}" assembly "${assembly}")
# Back again: to the stack.
string(REGEX REPLACE "nt>(p[sd]\t%[yz]mm[0-9]+, [^\n(]*\\(%rsp[^\n]*\n)" "a\\1" assembly
       "${assembly}")
string(REGEX REPLACE "nt>(p[sd]\t%[yz]mm[0-9]+, -[0-9]+\\(%rbp\\)\n)" "a\\1" assembly "${assembly}")
string(REGEX REPLACE "nt>dq(\t%[xy]mm[0-9]+, [^\n(]*\\(%rsp[^\n]*\n)" "dqa\\1" assembly
       "${assembly}")
string(REGEX REPLACE "nt>dq(\t%[xy]mm[0-9]+, -[0-9]+\\(%rbp[^\n]*\n)" "dqa\\1" assembly
       "${assembly}")
string(REPLACE "nt>" "nt" assembly "${assembly}")
string(FIND "${assembly}" "vmovnt" at)
if(at EQUAL -1)
  message(FATAL_ERROR "${from} has no aligned stores of whole vectors to turn into streaming ones")
endif()
file(WRITE "${to}" "${assembly}")
