# Installs the library as a package: find_package(halnorm) gives halnorm::halnorm, halnorm::shared,
# and for programs that call the generated functions alone, halnorm::kernels. pkg-config gives
# halnorm and halnorm-static. All paths are relative to the prefix.

include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/halnorm")
set(installed halnorm halnorm_kernels halnorm_halide_headers)
set_target_properties(halnorm_kernels PROPERTIES EXPORT_NAME kernels)
set_target_properties(halnorm_halide_headers PROPERTIES EXPORT_NAME halide_headers)
if(HALNORM_SHARED)
  list(APPEND installed halnorm_shared)
  set_target_properties(halnorm_shared PROPERTIES EXPORT_NAME shared)
endif()
install(TARGETS ${installed} EXPORT halnorm_targets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
        LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
foreach(engine IN ITEMS halnorm_mpi halnorm_nccl)
  if(TARGET ${engine})
    install(TARGETS ${engine} EXPORT halnorm_targets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  endif()
endforeach()
install(FILES "${PROJECT_BINARY_DIR}/generators/libhalnorm_kernels.a"
        DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(DIRECTORY include/halnorm DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.h")
install(DIRECTORY "${halnorm_halide_include}/"
        DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/halnorm/halide")
install(DIRECTORY "${PROJECT_BINARY_DIR}/generators/"
        DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/halnorm/kernels"
        FILES_MATCHING PATTERN "halnorm_*.h" PATTERN "CMakeFiles" EXCLUDE)

install(EXPORT halnorm_targets NAMESPACE halnorm:: DESTINATION "${package_dir}")
configure_package_config_file(
  cmake/halnormConfig.cmake.in "${PROJECT_BINARY_DIR}/halnormConfig.cmake"
  INSTALL_DESTINATION "${package_dir}"
)
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/halnormConfigVersion.cmake" COMPATIBILITY SameMinorVersion
)
install(FILES "${PROJECT_BINARY_DIR}/halnormConfig.cmake"
              "${PROJECT_BINARY_DIR}/halnormConfigVersion.cmake"
        DESTINATION "${package_dir}")

# pkg-config finds the prefix from the place of its own file.
file(RELATIVE_PATH halnorm_pc_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" halnorm_pc_prefix "${halnorm_pc_prefix}")
set(static_libs "\${libdir}/libhalnorm.a \${libdir}/libhalnorm_kernels.a")
string(APPEND static_libs " -Wl,--gc-sections -Wl,--exclude-libs,libhalnorm_kernels.a")
string(APPEND static_libs " -pthread -ldl")
function(halnorm_install_pc name libs)
  set(file "${PROJECT_BINARY_DIR}/${name}.pc")
  configure_file("${PROJECT_SOURCE_DIR}/cmake/halnorm.pc.in" "${file}" @ONLY)
  install(FILES "${file}" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endfunction()
halnorm_install_pc(halnorm-static "${static_libs}")
if(HALNORM_SHARED)
  halnorm_install_pc(halnorm "-L\${libdir} -lhalnorm")
else()
  halnorm_install_pc(halnorm "${static_libs}")
endif()

find_package(nlohmann_json 3.11 REQUIRED)
string(TIMESTAMP halnorm_spdx_created "%Y-%m-%dT%H:%M:%SZ" UTC)
configure_file(cmake/halnorm.spdx.json.in "${PROJECT_BINARY_DIR}/halnorm.spdx.json" @ONLY)
install(FILES LICENSE THIRD_PARTY_NOTICES "${PROJECT_BINARY_DIR}/halnorm.spdx.json"
        DESTINATION "${CMAKE_INSTALL_DOCDIR}")
