# Tests of the project as a whole: the README, and the package from outside.

add_test(NAME readme_example_is_current COMMAND "${CMAKE_COMMAND}" -D "source=${PROJECT_SOURCE_DIR}"
                                                -P "${CMAKE_CURRENT_LIST_DIR}/readme_test.cmake"
)
add_test(NAME nontemporal_stores_are_checked
         COMMAND "${CMAKE_COMMAND}" -D "source=${PROJECT_SOURCE_DIR}" -D
                 "work=${CMAKE_CURRENT_BINARY_DIR}/nontemporal_test" -P
                 "${CMAKE_CURRENT_LIST_DIR}/nontemporal_test.cmake"
)

if(CMAKE_CROSSCOMPILING)
  message(STATUS "halnorm: cross-compiling: the tests of the module's table and of the installed "
                 "package, which start programs of their own, are left out")
  return()
endif()

add_test(NAME rooms COMMAND "${HALNORM_TEST_PYTHON}" "${CMAKE_CURRENT_LIST_DIR}/rooms.py"
                            "${PROJECT_SOURCE_DIR}/runtime"
)
add_test(NAME module_table_is_covered
         COMMAND "${HALNORM_TEST_PYTHON}" "${CMAKE_CURRENT_LIST_DIR}/module_table.py"
                 "${PROJECT_SOURCE_DIR}/docs/module.md" "$<TARGET_FILE:halnorm_tests>"
                 "$<TARGET_FILE:halnorm_distributed_tests>"
)
add_test(NAME guarantees_are_tested
         COMMAND "${HALNORM_TEST_PYTHON}" "${CMAKE_CURRENT_LIST_DIR}/guarantees.py"
                 "${PROJECT_SOURCE_DIR}/docs/guarantees.md" "${PROJECT_SOURCE_DIR}/tests"
)

# An instrumented library needs the sanitizer's flags in its user's build, which no package has.
if(HALNORM_INSTALL AND NOT HALNORM_SANITIZER)
  get_property(kernels GLOBAL PROPERTY HALNORM_KERNELS)
  list(GET kernels -1 portable)
  string(REGEX REPLACE "^.*__" "" portable "${portable}")
  add_test(
    NAME installed_package_is_usable
    COMMAND
      "${CMAKE_COMMAND}" -D "build=${PROJECT_BINARY_DIR}" -D
      "work=${CMAKE_CURRENT_BINARY_DIR}/install_test" -D "target=${portable}" -D
      "compiler=${CMAKE_CXX_COMPILER}" -D "generator=${CMAKE_GENERATOR}" -D
      "program=${CMAKE_MAKE_PROGRAM}" -D "cpack=${CMAKE_CPACK_COMMAND}" -P
      "${CMAKE_CURRENT_LIST_DIR}/install_test.cmake"
  )
endif()

add_test(
  NAME subdirectory_is_usable
  COMMAND
    "${CMAKE_COMMAND}" -D "source=${PROJECT_SOURCE_DIR}" -D
    "work=${CMAKE_CURRENT_BINARY_DIR}/subdirectory_test" -D "compiler=${CMAKE_CXX_COMPILER}" -D
    "generator=${CMAKE_GENERATOR}" -D "program=${CMAKE_MAKE_PROGRAM}" -P
    "${CMAKE_CURRENT_LIST_DIR}/subdirectory_test.cmake"
)

# The test takes the generators' objects of this build tree; those of an instrumented build are
# slow.
if(TARGET halnorm_generators AND NOT HALNORM_SANITIZER)
  add_test(
    NAME page_adds_an_operation
    COMMAND
      "${HALNORM_TEST_PYTHON}" "${CMAKE_CURRENT_LIST_DIR}/add_operation.py" --source
      "${PROJECT_SOURCE_DIR}" --build "${PROJECT_BINARY_DIR}" --work
      "${CMAKE_CURRENT_BINARY_DIR}/add_operation" --cmake "${CMAKE_COMMAND}" -G "${CMAKE_GENERATOR}"
      "-DCMAKE_MAKE_PROGRAM=${CMAKE_MAKE_PROGRAM}" "-DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}"
      "-DCMAKE_PREFIX_PATH=${halide_package_dir}"
      "-DHALNORM_DLPACK_INCLUDE_DIR=${HALNORM_DLPACK_INCLUDE_DIR}" -DCMAKE_BUILD_TYPE=Debug
      -DCMAKE_CXX_FLAGS_DEBUG=-O0 -DHALNORM_TARGETS=portable -DHALNORM_DTYPES=f32
      -DHALNORM_OPERATIONS=inference
  )
endif()

# The Python of the benchmarks.
if(HALNORM_BENCH)
  foreach(test IN ITEMS bench_test tune_test)
    add_test(
      NAME ${test}
      COMMAND "${HALNORM_TEST_PYTHON}" "${CMAKE_CURRENT_LIST_DIR}/${test}.py"
    )
    set_tests_properties(
      ${test} PROPERTIES ENVIRONMENT
      "PYTHONPATH=${PROJECT_SOURCE_DIR}/bench:${PROJECT_SOURCE_DIR}/bench/peers"
    )
  endforeach()
endif()
