# Finds GoogleTest, and makes tests of ctest from its programs.

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
  add_library(GTest::gtest ALIAS halnorm_gtest)
  add_library(GTest::gtest_main ALIAS halnorm_gtest)
else()
  find_package(GTest REQUIRED)
endif()

if(CMAKE_CROSSCOMPILING)
  include(emulated_cpus.cmake)
endif()

# Makes each test of the program one of ctest's. If an emulator has to start for each, makes
# `shards` groups of them for each CPU instead.
function(halnorm_discover_tests program shards)
  if(CMAKE_CROSSCOMPILING)
    foreach(target IN LISTS HALNORM_EMULATED_TARGETS)
      halnorm_emulate_tests(${program} ${shards} ${target})
    endforeach()
  else()
    gtest_discover_tests(${program} DISCOVERY_TIMEOUT 60)
  endif()
endfunction()
