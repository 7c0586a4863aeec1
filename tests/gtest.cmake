# GoogleTest, and how its programs become tests of ctest's.

include(GoogleTest)

if(CMAKE_CROSSCOMPILING)
  find_package(Threads REQUIRED)
  set(HALNORM_GTEST_SOURCE /usr/src/googletest/googletest
      CACHE PATH "GoogleTest's sources, which are compiled for the other architecture")
  add_library(halnorm_gtest STATIC "${HALNORM_GTEST_SOURCE}/src/gtest-all.cc"
                                   "${HALNORM_GTEST_SOURCE}/src/gtest_main.cc")
  target_compile_features(halnorm_gtest PUBLIC cxx_std_20)
  target_include_directories(
    halnorm_gtest SYSTEM PUBLIC "${HALNORM_GTEST_SOURCE}/include" PRIVATE "${HALNORM_GTEST_SOURCE}"
  )
  target_link_libraries(halnorm_gtest PUBLIC Threads::Threads)
  add_library(GTest::gtest_main ALIAS halnorm_gtest)
else()
  find_package(GTest REQUIRED)
endif()

# The CPU that qemu-user imitates while tests run: the least that has all the targets.
set(HALNORM_TEST_CPU "" CACHE STRING "cross-compiling: the emulator's CPU model")
set(HALNORM_TEST_CASES 350
    CACHE STRING "cross-compiling: random cases in each of the four property tests of a target")

# Makes each test of the program one of ctest's; where an emulator has to start for each, `shards`
# groups of them instead.
function(halnorm_discover_tests program shards)
  if(NOT CMAKE_CROSSCOMPILING)
    gtest_discover_tests(${program} DISCOVERY_TIMEOUT 60)
    return()
  endif()
  math(EXPR last "${shards} - 1")
  set(all "QEMU_CPU=${HALNORM_TEST_CPU}" "HALNORM_TEST_CASES=${HALNORM_TEST_CASES}"
          "GTEST_TOTAL_SHARDS=${shards}")
  foreach(shard RANGE ${last})
    add_test(NAME ${program}_${shard} COMMAND ${program} --gtest_brief=1)
    set_tests_properties(
      ${program}_${shard}
      PROPERTIES ENVIRONMENT "${all};GTEST_SHARD_INDEX=${shard}"
    )
  endforeach()
endfunction()
