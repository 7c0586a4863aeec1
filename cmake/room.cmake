# A room: an object library whose sources see the public headers, their own room and the rooms that
# it names, each by the path "<room>/<header>". A link in the build tree is the path to one room
# alone: an include of a room above finds no file.
function(halnorm_add_room name)
  cmake_parse_arguments(PARSE_ARGV 1 room "" "" "USES;SOURCES")
  set(path "${CMAKE_CURRENT_BINARY_DIR}/${name}")
  file(MAKE_DIRECTORY "${path}")
  file(CREATE_LINK "${CMAKE_CURRENT_SOURCE_DIR}/${name}" "${path}/${name}" SYMBOLIC)
  list(TRANSFORM room_SOURCES PREPEND "${name}/")
  list(TRANSFORM room_USES PREPEND halnorm_room_)
  add_library(halnorm_room_${name} OBJECT ${room_SOURCES})
  target_compile_features(halnorm_room_${name} PUBLIC cxx_std_20)
  set_target_properties(
    halnorm_room_${name}
    PROPERTIES CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON
               # The public headers make their own names visible, and nothing else is.
               CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
  )
  target_compile_options(
    halnorm_room_${name}
    PRIVATE -ffunction-sections -fdata-sections
            # A subdirectory of a project without a build type is optimized too, as the kernels are.
            $<$<STREQUAL:$<CONFIG>,>:-O2>
            $<$<STREQUAL:$<CONFIG>,>:-DNDEBUG>
            # A unique symbol would keep a shared object loaded after dlclose().
            $<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>
  )
  target_include_directories(
    halnorm_room_${name} PRIVATE "${PROJECT_BINARY_DIR}/generated"
    PUBLIC "${PROJECT_SOURCE_DIR}/include" "${path}"
  )
  target_link_libraries(
    halnorm_room_${name} PUBLIC ${room_USES} halnorm_private_runtime halnorm_sanitizer
    PRIVATE halnorm_warnings
  )
  # Half of a file's compilation is the standard library's headers. A file includes them all the
  # same: lint compiles without this.
  if(name STREQUAL "base")
    target_precompile_headers(
      halnorm_room_base PRIVATE <algorithm> <array> <atomic> <cmath> <functional> <map> <memory>
      <mutex> <optional> <span> <string> <string_view> <unordered_set> <utility> <vector>
    )
  else()
    target_precompile_headers(halnorm_room_${name} REUSE_FROM halnorm_room_base)
  endif()
  set(HALNORM_ROOMS ${HALNORM_ROOMS} halnorm_room_${name} PARENT_SCOPE)
endfunction()
