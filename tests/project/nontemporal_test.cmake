# cmake -D source=<source tree> -D work=<scratch> -P nontemporal_test.cmake
# cmake/nontemporal.cmake rewrites what it knows, and refuses assembly that differs from it.

# A row as LLVM writes it, shortened: the first line, whole lines, the last line.
set(row [[
  .text
.LBB0_1:                                # %"1_for_y$2_aligned.s1.r9$y.us"
                                        # =>This Inner Loop Header: Depth=1
  FIRST
  jne .LBB0_1
# %bb.2:                                # %"2_for_y$2_aligned.s1.r9$y.rebased.preheader.us"
  vmovaps %ymm9, (%r9)
.LBB0_3:                                # %"2_for_y$2_aligned.s1.r9$y.rebased.us"
                                        # =>This Inner Loop Header: Depth=1
  vmovaps %ymm8, 96(%rsp)
  vmovaps %ymm8, -96(%rbp)
  WHOLE
  jne .LBB0_3
.LBB0_4:                                # %"2_end_for_y$2_aligned.s1.r9$y.rebased.us"
  vmovaps %ymm9, (%r9)
.LBB0_5:                                # %"3_for_y$2_aligned.s1.r9$y.rebased.us"
                                        # =>This Inner Loop Header: Depth=1
  LAST
  jne .LBB0_5
.LBB0_7:                                # %"3_end_for_y$2_aligned.s1.r9$y.rebased.us"
  vzeroupper
]])
string(REGEX REPLACE "\n  ([a-z0-9]+) " "\n\t\\1\t" row "${row}")

# The row with the given stores.
function(make_row out first whole last)
  string(REPLACE "  FIRST" "${first}" text "${row}")
  string(REPLACE "  WHOLE" "${whole}" text "${text}")
  string(REPLACE "  LAST" "${last}" text "${text}")
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

function(rewrite text)
  file(WRITE "${work}/from.s" "${text}")
  file(REMOVE "${work}/to.s")
  execute_process(
    COMMAND "${CMAKE_COMMAND}" -D "from=${work}/from.s" -D "to=${work}/to.s" -P
            "${source}/cmake/nontemporal.cmake"
    RESULT_VARIABLE failed ERROR_VARIABLE message
  )
  string(REGEX REPLACE "[ \n]+" " " message "${message}")
  set(failed "${failed}" PARENT_SCOPE)
  set(message "${message}" PARENT_SCOPE)
endfunction()

function(expect_rewritten text whole expected)
  rewrite("${text}")
  if(failed)
    message(FATAL_ERROR "refused: ${message}\n${text}")
  endif()
  string(REPLACE "${whole}" "${expected}" wanted "${text}")
  file(READ "${work}/to.s" found)
  if(NOT found STREQUAL wanted)
    message(FATAL_ERROR "rewritten to\n${found}\nwanted\n${wanted}")
  endif()
endfunction()

# The text with `from` replaced is refused, by words that name the place, the file and the way out.
function(expect_refused text from to words)
  string(REPLACE "${from}" "${to}" damaged "${text}")
  if(damaged STREQUAL text)
    message(FATAL_ERROR "no '${from}' in\n${text}")
  endif()
  rewrite("${damaged}")
  foreach(part IN ITEMS "${words}" "${work}/from.s: " "-DHALNORM_NONTEMPORAL=off")
    string(FIND "${message}" "${part}" place)
    if(NOT failed OR place EQUAL -1 OR EXISTS "${work}/to.s")
      message(FATAL_ERROR "'${from}' as '${to}' gives no error with '${part}': ${message}")
    endif()
  endforeach()
endfunction()

set(lines "\tvmovaps\t%ymm0, -32(%rdx,%rcx)\n\tvmovaps\t%ymm1, (%rbp,%rcx)\n")
set(past_caches "\tvmovntps\t%ymm0, -32(%rdx,%rcx)\n\tvmovntps\t%ymm1, (%rbp,%rcx)\n")
set(masked "\tvmaskmovps\t%ymm1, %ymm0, (%rax)\n")
make_row(avx2 "${masked}" "${lines}" "${masked}")
expect_rewritten("${avx2}" "${lines}" "${past_caches}")

set(line "\tvmovdqa64\t%zmm0, (%rdx,%rcx)\n")
set(zmm_masked "\tvmovdqu16\t%zmm0, (%rax) {%k1}\n")
make_row(avx512 "${zmm_masked}" "${line}" "${zmm_masked}")
expect_rewritten("${avx512}" "${line}" "\tvmovntdq\t%zmm0, (%rdx,%rcx)\n")

set(halves "\tvmovdqa\t%ymm0, -32(%rdx,%rcx)\n\tvmovdqa\t%ymm1, (%rdx,%rcx)\n")
string(CONCAT elements "# %bb.6:                                # %cond.store9\n"
              "                                        #   in Loop: Header=BB0_5 Depth=1\n"
              "\tvpextrw\t$0, %xmm0, (%rax)\n")
make_row(avx2_16_bits "${elements}" "${halves}" "${elements}")
string(REPLACE "vmovdqa" "vmovntdq" halves_past_caches "${halves}")
expect_rewritten("${avx2_16_bits}" "${halves}" "${halves_past_caches}")

# A label without its comment.
set(name "_for_y$2_aligned.s1.r9$y.rebased")
set(comment "                                # %\"")
foreach(kind IN ITEMS avx2 avx512 avx2_16_bits)
  expect_refused("${${kind}}" ".LBB0_3:${comment}2${name}.us\"" ".LBB0_3:"
                 "the loop 2${name} has no label")
  expect_refused("${${kind}}" ".LBB0_5:${comment}3${name}.us\"" ".LBB0_5:"
                 "the loop 3${name} has no label")
endforeach()
expect_refused("${avx2}" "_aligned.s1" "" "are not pairs")

# Whole lines by unaligned stores, by scalar ones, by one of these besides an aligned one, by mask.
set(at "the loop at .LBB0_3, 2${name}, ")
expect_refused("${avx2}" "${lines}" "\tvmovups\t%ymm0, (%rdx,%rcx)\n" "${at}")
expect_refused("${avx2}" "${lines}" "\tvmovss\t%xmm0, (%rdx,%rcx)\n" "${at}")
expect_refused("${avx2}" "vmovaps\t%ymm0, -32(" "vmovups\t%ymm0, -32(" "${at}")
expect_refused("${avx2}" "vmovaps\t%ymm0, -32(" "vmovss\t%xmm0, -32(" "${at}")
expect_refused("${avx2}" "${lines}" "${masked}" "are not pairs")
expect_refused("${avx512}" "${line}" "\tvmovdqu64\t%zmm0, (%rdx,%rcx)\n" "${at}")
expect_refused("${avx512}" "${line}" "\tmovw\t%ax, (%rdx,%rcx)\n" "${at}")
expect_refused("${avx512}" "${line}" "${zmm_masked}" "are not pairs")
expect_refused("${avx2_16_bits}" "${halves}" "\tvpextrw\t$0, %xmm0, (%rdx,%rcx)\n" "${at}")

# A last line without a mask, and one whose masked stores are another loop's.
set(at "the loop at .LBB0_5, 3${name}, ")
expect_refused("${avx2}" "${masked}" "\tvmovss\t%xmm0, (%rax)\n" "${at}")
expect_refused("${avx512}" " {%k1}" "" "${at}")
expect_refused("${avx2_16_bits}" "Header=BB0_5 " "Header=BB0_1 " "${at}")
