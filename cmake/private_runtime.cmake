# Halide's runtime with prefixed symbols. So it shares no symbol with a host's own Halide runtime,
# which keeps its handlers, pool, allocator and device contexts.

set(halnorm_private_dir "${PROJECT_BINARY_DIR}/generated/private_runtime")
set(halnorm_private_symbols "${halnorm_private_dir}/symbols.map")

# Writes the files that rename the symbols of the archive of the target `runtime`: a map for
# objcopy, and a HalideRuntime.h that declares them under their new names. A target that links
# halnorm_private_runtime includes this header in place of Halide's.
function(halnorm_rename_runtime runtime)
  set(script "${PROJECT_SOURCE_DIR}/cmake/private_symbols.cmake")
  set(header "${halnorm_private_dir}/HalideRuntime.h")
  add_custom_command(
    OUTPUT "${halnorm_private_symbols}" "${header}"
    COMMAND "${CMAKE_COMMAND}" -D "nm=${CMAKE_NM}" -D "archive=$<TARGET_FILE:${runtime}>"
            -D "map=${halnorm_private_symbols}" -D "header=${header}" -P "${script}"
    DEPENDS ${runtime} "${script}"
    COMMENT "Names for a private Halide runtime"
    VERBATIM
  )
  add_custom_target(halnorm_private_names DEPENDS "${halnorm_private_symbols}" "${header}")
  add_library(halnorm_private_runtime INTERFACE)
  add_dependencies(halnorm_private_runtime halnorm_private_names)
  target_include_directories(halnorm_private_runtime BEFORE INTERFACE "${halnorm_private_dir}")
  target_link_libraries(halnorm_private_runtime INTERFACE halnorm_halide_headers)
endfunction()
