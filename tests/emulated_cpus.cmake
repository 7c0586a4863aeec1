# The CPUs that qemu-user emulates while tests run: for each target one that has it, and that has no
# faster one. The suite is divided among them. So an instruction that a target does not promise
# fails on a CPU that does not have it.

if(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  set(HALNORM_EMULATED_TARGETS arm64 arm64_fp16)
  set(HALNORM_CPU_OF_arm64 cortex-a72)
  set(HALNORM_CPU_OF_arm64_fp16 a64fx)
else()
  set(HALNORM_EMULATED_TARGETS armhf)
  set(HALNORM_CPU_OF_armhf cortex-a9)
endif()

set(HALNORM_TEST_BRIEF 1
    CACHE STRING "cross-compiling: 1 for large shapes with one value each; or empty")

# Sets `out` to the environment of the tests on a CPU. On an A64FX glibc would copy and fill memory
# by SVE, which qemu-user makes so slow that tests take ten times as long.
function(halnorm_emulated_environment cpu out)
  set(all "QEMU_CPU=${cpu}" "GLIBC_TUNABLES=glibc.cpu.name=generic")
  if(HALNORM_TEST_BRIEF)
    list(APPEND all "HALNORM_TEST_BRIEF=${HALNORM_TEST_BRIEF}")
  endif()
  set(${out} "${all}" PARENT_SCOPE)
endfunction()

# Adds the program's tests on the CPU of `target`, in shards, without those that are for one of the
# other targets: these run on a CPU of their own.
function(halnorm_emulate_tests program shards target)
  set(filter "*-")
  foreach(other IN LISTS HALNORM_EMULATED_TARGETS)
    if(NOT other STREQUAL target)
      string(APPEND filter "*/${other}_float*:*/${other}_bfloat*:*/${other}_?:")
    endif()
  endforeach()
  set(cpu ${HALNORM_CPU_OF_${target}})
  halnorm_emulated_environment(${cpu} all)
  math(EXPR last "${shards} - 1")
  foreach(shard RANGE ${last})
    set(name ${program}_on_${cpu}_${shard})
    add_test(NAME ${name} COMMAND ${program} --gtest_brief=1 "--gtest_filter=${filter}")
    set_tests_properties(
      ${name} PROPERTIES
      ENVIRONMENT "${all};GTEST_TOTAL_SHARDS=${shards};GTEST_SHARD_INDEX=${shard}"
    )
  endforeach()
endfunction()
