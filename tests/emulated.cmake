# Tests on CPUs that qemu-user emulates: each runs the fastest of its targets, and the code of this
# target is right and needs no other instructions. The whole suite takes half an hour, so that CI
# runs only these: `./dev test --target arm64 -L emulated`.

add_executable(halnorm_dispatch_test kernels/dispatch_test.cpp)
target_link_libraries(
  halnorm_dispatch_test PRIVATE halnorm::halnorm halnorm_warnings GTest::gtest_main
)

# Each operation, in both layouts of its kernels and in every dtype.
set(HALNORM_CORE_TESTS
    Train.ReturnsTheBatchStatistics TrainInPlace.MayOverwriteX Infer.WeightAndBiasAreEachOptional
    InferInPlace.MayOverwriteX Backward.WithoutAWeightItIsOne BackwardInPlace.MayOverwriteDy
    Moments.OfPartsMergeToThoseOfTheWhole Moments.ElemtFinishesTheForward
    Moments.ReduceAndElemtMakeTheBackward MomentsOfManyChannels.MatchTheFormulas
    RunningStats.AreUpdatedFromMoments Fused.WithoutAnAddendItIsZero
    FusedInPlace.MayOverwriteXOrTheAddend FusedBackward.WithoutAWeightItIsOne
    FusedBackwardInPlace.MayOverwriteDy
)
set(HALNORM_CORE_CASES 25) # of the random ones, in each of four tests

# `target` is the fastest that `cpu` runs.
function(halnorm_add_emulated_cpu cpu target)
  set(filter "Targets/Property.*/${target}_?")
  foreach(test IN LISTS HALNORM_CORE_TESTS)
    foreach(dtype float16 bfloat16 float32 float64)
      string(APPEND filter ":Kernels/${test}/${target}_${dtype}_n??")
    endforeach()
  endforeach()
  add_test(NAME dispatch_on_${cpu} COMMAND halnorm_dispatch_test)
  add_test(NAME kernels_on_${cpu} COMMAND halnorm_tests --gtest_brief=1 "--gtest_filter=${filter}")
  halnorm_emulated_environment(${cpu} environment)
  list(APPEND environment "HALNORM_TEST_CASES=${HALNORM_CORE_CASES}"
                          "HALNORM_TEST_FASTEST=${target}")
  set_tests_properties(
    dispatch_on_${cpu} kernels_on_${cpu}
    PROPERTIES LABELS emulated ENVIRONMENT "${environment}"
  )
endfunction()

foreach(target IN LISTS HALNORM_EMULATED_TARGETS)
  halnorm_add_emulated_cpu(${HALNORM_CPU_OF_${target}} ${target})
endforeach()
if(NOT CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  halnorm_add_emulated_cpu(cortex-a7 armhf)
  halnorm_add_emulated_cpu(cortex-a15 armhf)
endif()
