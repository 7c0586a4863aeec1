# Tests that need a program of their own: some replace the allocator, others bring a host's
# threads, and are left out where the host is not installed.

function(halnorm_add_test_program name)
  add_executable(${name} ${ARGN})
  target_include_directories(${name} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE halnorm::halnorm halnorm_warnings GTest::gtest_main)
  halnorm_discover_tests(${name} 1)
endfunction()

halnorm_add_test_program(halnorm_allocation_test allocation_test.cpp support/failing_memory.cpp)
halnorm_add_test_program(halnorm_load_memory_test load_memory_test.cpp)
halnorm_add_test_program(halnorm_steady_memory_test steady_memory_test.cpp)

# Neither's runtime is instrumented, so that the thread sanitizer takes its barriers for races.
if(HALNORM_SANITIZER STREQUAL "thread")
  message(STATUS "halnorm: tests with OpenMP and TBB are left out under the thread sanitizer")
  return()
endif()

find_package(OpenMP COMPONENTS CXX)
if(OpenMP_CXX_FOUND)
  halnorm_add_test_program(halnorm_openmp_test openmp_test.cpp)
  target_link_libraries(halnorm_openmp_test PRIVATE OpenMP::OpenMP_CXX)
else()
  message(STATUS "halnorm: no OpenMP, so that its test is left out")
endif()

find_package(TBB QUIET)
if(TBB_FOUND)
  halnorm_add_test_program(halnorm_tbb_test tbb_test.cpp)
  target_link_libraries(halnorm_tbb_test PRIVATE TBB::tbb)
else()
  message(STATUS "halnorm: no TBB (libtbb-dev), so that its test is left out")
endif()
