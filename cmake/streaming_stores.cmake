# Turns the stores of a kernel's output into streaming ones, which Halide 21 cannot make: in the
# assembly `from`, written to `to`, a store of a whole vector at an aligned address (vmovaps,
# vmovapd) becomes a store past the caches of the same operands (vmovntps, vmovntpd), which asks for
# the same alignment. Stores with a mask have no such form; those to the stack stay.

file(READ "${from}" assembly)
# A CMake list would take what follows a semicolon, or stands in brackets, apart.
string(REGEX REPLACE "(\tvmov)ap([sd]\t%[yz]mm[0-9]+, [^\n{]*\\(%[^\n{]*\\))\n" "\\1nt>p\\2\n"
       assembly "${assembly}")
# Back again: to the stack.
string(REGEX REPLACE "nt>(p[sd]\t%[yz]mm[0-9]+, [^\n(]*\\(%rsp[^\n]*\n)" "a\\1" assembly
       "${assembly}")
string(REGEX REPLACE "nt>(p[sd]\t%[yz]mm[0-9]+, -[0-9]+\\(%rbp\\)\n)" "a\\1" assembly "${assembly}")
string(REPLACE "nt>p" "ntp" assembly "${assembly}")
string(FIND "${assembly}" "vmovntp" at)
if(at EQUAL -1)
  message(FATAL_ERROR "${from} has no aligned stores of whole vectors to turn into streaming ones")
endif()
file(WRITE "${to}" "${assembly}")
