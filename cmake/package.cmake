# `cpack` in the build tree makes a .deb and a .tar.gz of what is installed, natively and in a build
# for another architecture.

set(CPACK_PACKAGE_NAME halnorm)
set(CPACK_PACKAGE_VENDOR "The halnorm authors")
set(CPACK_PACKAGE_CONTACT "The halnorm authors")
set(CPACK_PACKAGE_VERSION "${PROJECT_VERSION}")
set(CPACK_GENERATOR DEB TGZ)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_RESOURCE_FILE_LICENSE "${PROJECT_SOURCE_DIR}/LICENSE")
set(CPACK_RESOURCE_FILE_README "${PROJECT_SOURCE_DIR}/README.md")

# Debian's name of the architecture.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  set(architecture amd64)
elseif(CMAKE_SIZEOF_VOID_P EQUAL 8)
  set(architecture arm64)
else()
  set(architecture armhf)
endif()
set(CPACK_PACKAGE_FILE_NAME "halnorm-${PROJECT_VERSION}-linux-${architecture}")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE ${architecture})
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
    "Libraries (static and shared), headers, and files for CMake and pkg-config."
)
# A build on Debian 12 needs these versions, by the newest symbols of libhalnorm.so. dpkg-shlibdeps
# names the cross-compiler's packages in a build for another architecture.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libc6 (>= 2.34), libstdc++6 (>= 11), libgcc-s1")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS libdlpack-dev) # halnorm_c.h includes its header
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA "${PROJECT_SOURCE_DIR}/cmake/debian/triggers")

include(CPack)
