#pragma once

/// @file
/// The one source of the version: CMake reads these three lines.

/// A component of the version "major.minor.patch".
/// @{
#define HALNORM_VERSION_MAJOR 0
#define HALNORM_VERSION_MINOR 2
#define HALNORM_VERSION_PATCH 0
/// @}
