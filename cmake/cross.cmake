# Functions for builds for another architecture.

# A header-only library of this machine is in /usr/include, among headers that are wrong for the
# other architecture. `target` gets a folder that contains only the library's headers, `name`.
function(halnorm_use_headers_alone target name)
  if(CMAKE_CROSSCOMPILING)
    get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
    list(GET folders 0 folder)
    set(alone "${PROJECT_BINARY_DIR}/headers_alone")
    file(MAKE_DIRECTORY "${alone}")
    file(CREATE_LINK "${folder}/${name}" "${alone}/${name}" SYMBOLIC)
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${alone}")
  endif()
endfunction()
