#pragma once

/// @file
/// The one source of the version: CMake reads these three lines.

/// A component of the version "major.minor.patch".
/// @{
#define HALNORM_VERSION_MAJOR 0
#define HALNORM_VERSION_MINOR 3
#define HALNORM_VERSION_PATCH 0
/// @}

/// The inline namespace that holds all names of halnorm, "v" and the two numbers of the ABI:
/// halnorm::Tensor is halnorm::v0_3::Tensor. So the names of two minor versions in one process are
/// apart, and a program does not link with a library of another version than its headers.
#define HALNORM_ABI inline HALNORM_ABI_OF(HALNORM_VERSION_MAJOR, HALNORM_VERSION_MINOR)
/// The name of HALNORM_ABI, once the numbers are expanded.
/// @{
#define HALNORM_ABI_OF(major, minor) HALNORM_ABI_NAME(major, minor)
#define HALNORM_ABI_NAME(major, minor) v##major##_##minor
/// @}
