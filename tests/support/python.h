#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

/// The exit status of one of the tests' scripts, run by HALNORM_TEST_PYTHON; `script` is relative
/// to the tests' folder.
inline int run_python(const std::string& script, const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {HALNORM_TEST_PYTHON,
                                    std::string(HALNORM_TEST_SOURCE_DIR) + "/" + script};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
