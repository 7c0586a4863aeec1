#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

/// Runs a function in a child process, so that its changes to the process stay there. Returns the
/// status of waitpid: 0 if the function returns 0, the exit status 1 if it throws.
template <class Function>
int exit_status_of_child(Function function) {
  const pid_t child = ::fork();
  if (child == 0) {
    int status = 1;
    try {
      status = function();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "the child threw: %s\n", error.what());
    }
    ::_exit(status);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return status;
}
