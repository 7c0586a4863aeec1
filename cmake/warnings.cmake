# Warnings are errors in halnorm's code. Sanitizers apply to every target that links halnorm from
# the build tree.

add_library(halnorm_warnings INTERFACE)
target_compile_options(
  halnorm_warnings
  INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wpedantic
            $<$<BOOL:${PROJECT_IS_TOP_LEVEL}>:-Werror>
            # GCC 12 reports string concatenation as overlapping copies (PR 105329).
            $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
            # On 32-bit ARM it notes each call that differs from those of GCC 6.
            $<$<EQUAL:${CMAKE_SIZEOF_VOID_P},4>:-Wno-psabi>
            # ThreadSanitizer does not support fences. Ours orders non-temporal stores, which it
            # does not track.
            $<$<STREQUAL:${HALNORM_SANITIZER},thread>:-Wno-tsan>
)

add_library(halnorm_sanitizer INTERFACE)
if(HALNORM_SANITIZER)
  target_compile_options(
    halnorm_sanitizer INTERFACE -fsanitize=${HALNORM_SANITIZER} -fno-sanitize-recover=all
                                -fno-omit-frame-pointer
  )
  target_link_options(halnorm_sanitizer INTERFACE -fsanitize=${HALNORM_SANITIZER})
endif()
