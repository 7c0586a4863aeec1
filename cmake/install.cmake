# Installs the library as a package: find_package(halnorm) gives halnorm::halnorm, and for programs
# that call the generated functions alone, halnorm::kernels.

include(CMakePackageConfigHelpers)

set_target_properties(halnorm_kernels PROPERTIES EXPORT_NAME kernels)
install(TARGETS halnorm halnorm_kernels halnorm_halide_headers EXPORT halnorm_targets
        ARCHIVE DESTINATION lib)
install(FILES "${PROJECT_BINARY_DIR}/generators/libhalnorm_kernels.a" DESTINATION lib)
install(DIRECTORY include/halnorm DESTINATION include FILES_MATCHING PATTERN "*.h")
install(DIRECTORY "${halnorm_halide_include}/" DESTINATION include/halnorm/halide)
install(DIRECTORY "${PROJECT_BINARY_DIR}/generators/" DESTINATION include/halnorm/kernels
        FILES_MATCHING PATTERN "halnorm_*.h" PATTERN "CMakeFiles" EXCLUDE)
install(FILES LICENSE DESTINATION share/doc/halnorm)

install(EXPORT halnorm_targets NAMESPACE halnorm:: DESTINATION lib/cmake/halnorm)
configure_package_config_file(
  cmake/halnormConfig.cmake.in "${PROJECT_BINARY_DIR}/halnormConfig.cmake"
  INSTALL_DESTINATION lib/cmake/halnorm
)
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/halnormConfigVersion.cmake" COMPATIBILITY SameMinorVersion
)
install(FILES "${PROJECT_BINARY_DIR}/halnormConfig.cmake"
              "${PROJECT_BINARY_DIR}/halnormConfigVersion.cmake"
        DESTINATION lib/cmake/halnorm)
