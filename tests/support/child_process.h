#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

/// Runs a function in a child process, so that its changes to the process stay there. The child's
/// exit status is the function's result, or 1 if it throws.
template <class Function>
pid_t start_child(Function function) {
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
  return child;
}

/// The status that waitpid gives: 0 for a child whose function returned 0.
inline int status_of_child(pid_t child) {
  int status = -1;
  ::waitpid(child, &status, 0);
  return status;
}

template <class Function>
int exit_status_of_child(Function function) {
  return status_of_child(start_child(function));
}
