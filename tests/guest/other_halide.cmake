# halnorm_test_other_host: generator/host.cpp, compiled by the Halide in HALNORM_OTHER_HALIDE, with
# the runtime of that version.

set(libraries "${HALNORM_OTHER_HALIDE}/lib64")
add_executable(halnorm_test_other_generator generator/host.cpp)
target_compile_features(halnorm_test_other_generator PRIVATE cxx_std_17)
target_include_directories(
  halnorm_test_other_generator SYSTEM PRIVATE "${HALNORM_OTHER_HALIDE}/include"
)
target_link_libraries(
  halnorm_test_other_generator PRIVATE "${libraries}/libHalide_GenGen.a"
                                       "${libraries}/libHalide.so"
)

set(folder "${CMAKE_CURRENT_BINARY_DIR}/other_halide")
set(archive "${folder}/halnorm_test_host.a")
file(MAKE_DIRECTORY "${folder}")
add_custom_command(
  OUTPUT "${archive}" "${folder}/halnorm_test_host.h"
  COMMAND halnorm_test_other_generator -g host -f halnorm_test_host -e static_library,c_header -o
          "${folder}" target=host
  DEPENDS halnorm_test_other_generator
  VERBATIM
)
add_custom_target(halnorm_test_other_pipeline DEPENDS "${archive}")
add_library(halnorm_test_other_host STATIC IMPORTED)
set_target_properties(halnorm_test_other_host PROPERTIES IMPORTED_LOCATION "${archive}")
target_include_directories(
  halnorm_test_other_host SYSTEM INTERFACE "${folder}" "${HALNORM_OTHER_HALIDE}/include"
)
target_link_libraries(halnorm_test_other_host INTERFACE Threads::Threads ${CMAKE_DL_LIBS})
add_dependencies(halnorm_test_other_host halnorm_test_other_pipeline)
