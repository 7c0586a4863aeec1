#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <sstream>
#include <string>
#include <thread>

#include "halnorm/serialize.h"

/// The file that a save writes.
inline std::string bytes_of(const halnorm::StateDict& state) {
  std::ostringstream stream;
  halnorm::save(state, stream);
  return stream.str();
}

/// All bytes of a FIFO, read with a pause before each read.
inline std::string bytes_read(const std::filesystem::path& fifo, std::chrono::milliseconds pause) {
  const int file = ::open(fifo.c_str(), O_RDONLY);
  std::string bytes;
  std::string chunk(1 << 16, '\0');
  ssize_t count = 0;
  do {
    std::this_thread::sleep_for(pause);
    count = ::read(file, chunk.data(), chunk.size());
    bytes.append(chunk, 0, static_cast<std::size_t>(count > 0 ? count : 0));
  } while (count > 0);
  ::close(file);
  return bytes;
}
