# Tests that need a separate program: three replace the allocator, four fork processes. The others
# use a host's threads, and are left out if the host is not installed.

function(halnorm_add_test_program name)
  add_executable(${name} ${ARGN})
  target_include_directories(${name} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE halnorm::halnorm halnorm_warnings GTest::gtest_main)
  halnorm_discover_tests(${name} 1)
endfunction()

halnorm_add_test_program(
  halnorm_allocation_test functional/allocation_test.cpp nn/allocation_test.cpp
  support/failing_memory.cpp
)
halnorm_add_test_program(
  halnorm_first_call_memory_test kernels/first_call_memory_test.cpp support/failing_memory.cpp
)
halnorm_add_test_program(halnorm_load_memory_test io/load_memory_test.cpp)
halnorm_add_test_program(halnorm_steady_memory_test kernels/steady_memory_test.cpp)
halnorm_add_test_program(halnorm_process_end_test kernels/process_end_test.cpp)
target_include_directories(
  halnorm_process_end_test
  PRIVATE $<TARGET_PROPERTY:halnorm_room_kernels,INTERFACE_INCLUDE_DIRECTORIES>
)
# They replace the allocator of the library's Halide runtime too.
target_link_libraries(halnorm_allocation_test PRIVATE halnorm_private_runtime)
target_link_libraries(halnorm_first_call_memory_test PRIVATE halnorm_private_runtime)

# Plans need no tensors and run no kernel: the program has the room plan and those below it.
add_executable(halnorm_plan_test plan/plan_test.cpp)
target_link_libraries(halnorm_plan_test PRIVATE halnorm_kernels halnorm_warnings GTest::gtest_main)
target_include_directories(halnorm_plan_test PRIVATE "${PROJECT_BINARY_DIR}/generated")
set_source_files_properties(
  plan/plan_test.cpp PROPERTIES COMPILE_OPTIONS -Wno-missing-field-initializers
)
foreach(room base kernels device plan)
  target_link_libraries(halnorm_plan_test PRIVATE halnorm_room_${room})
endforeach()
halnorm_discover_tests(halnorm_plan_test 1)

# A build that compiles the generators also tests the warnings that a user sees.
if(TARGET halnorm_generators AND NOT HALNORM_SANITIZER)
  find_package(Halide 21 REQUIRED)
  add_executable(
    halnorm_compiler_warnings_test generators/compiler_warnings_test.cpp
                                   "${PROJECT_SOURCE_DIR}/generators/schedule/checks.cpp"
                                   "${PROJECT_SOURCE_DIR}/generators/warnings.cpp"
  )
  target_include_directories(
    halnorm_compiler_warnings_test PRIVATE "${PROJECT_SOURCE_DIR}/generators"
  )
  target_compile_features(halnorm_compiler_warnings_test PRIVATE cxx_std_20)
  target_link_libraries(
    halnorm_compiler_warnings_test PRIVATE Halide::Halide GTest::gtest_main halnorm_warnings
  )
  halnorm_discover_tests(halnorm_compiler_warnings_test 1)
endif()

# The runtimes of OpenMP and TBB are not instrumented, so that the thread sanitizer reports their
# barriers as races. It also ends a forked child that starts threads, if the parent has threads.
if(HALNORM_SANITIZER STREQUAL "thread")
  message(STATUS "halnorm: tests that fork, and with OpenMP and TBB, are left out under the thread "
                 "sanitizer")
  return()
endif()

# A child of a process whose threads are starting may find the lock of this sanitizer's allocator
# held: GCC 12's does not take it before a fork.
if(NOT HALNORM_SANITIZER STREQUAL "address")
  halnorm_add_test_program(halnorm_fork_test kernels/fork_test.cpp)
endif()
halnorm_add_test_program(halnorm_block_cache_test kernels/block_cache_test.cpp)

find_package(OpenMP COMPONENTS CXX)
if(OpenMP_CXX_FOUND)
  halnorm_add_test_program(halnorm_openmp_test kernels/openmp_test.cpp)
  target_link_libraries(halnorm_openmp_test PRIVATE OpenMP::OpenMP_CXX)
else()
  message(STATUS "halnorm: no OpenMP, so that its test is left out")
endif()

find_package(TBB QUIET)
if(TBB_FOUND)
  halnorm_add_test_program(halnorm_tbb_test kernels/tbb_test.cpp)
  target_link_libraries(halnorm_tbb_test PRIVATE TBB::tbb)
else()
  message(STATUS "halnorm: no TBB (libtbb-dev), so that its test is left out")
endif()
