#include <stdio.h>
#include <string.h>

#include "check.h"

int failures = 0;
const char* context = "";

int check(int holds, const char* file, int line, const char* text) {
  if (!holds) {
    ++failures;
    fprintf(stderr, "%s:%d: not so: %s [%s]\n", file, line, text, context);
  }
  return holds;
}

int check_ok(halnorm_status status, const char* file, int line, const char* text) {
  if (status != HALNORM_OK) {
    fprintf(stderr, "%s: %s\n", halnorm_status_string(status), halnorm_last_error());
  }
  return check(status == HALNORM_OK, file, line, text);
}

void check_error(halnorm_status got, halnorm_status wanted, const char* file, int line,
                 const char* first, const char* second, const char* third) {
  const char* parts[3];
  const char* message = halnorm_last_error();
  parts[0] = first;
  parts[1] = second;
  parts[2] = third;
  if (got != wanted) {
    ++failures;
    fprintf(stderr, "%s:%d: got %s, wanted %s: %s\n", file, line, halnorm_status_string(got),
            halnorm_status_string(wanted), message);
  }
  for (int i = 0; i < 3; ++i) {
    if (parts[i] != NULL && strstr(message, parts[i]) == NULL) {
      ++failures;
      fprintf(stderr, "%s:%d: '%s' is not in '%s'\n", file, line, parts[i], message);
    }
  }
}

struct Suite {
  const char* name;
  void (*run)(void);
};

static const struct Suite suites[] = {
    {"forward", test_forward},           {"backward", test_backward}, {"split", test_split},
    {"fuse_weights", test_fuse_weights}, {"fused", test_fused},       {"tensors", test_tensors},
    {"arguments", test_arguments},       {"library", test_library},   {"threads", test_threads},
};

int main(int argc, char** argv) {
  int ran = 0;
  for (size_t i = 0; i < sizeof suites / sizeof suites[0]; ++i) {
    if (argc < 2 || strcmp(argv[1], suites[i].name) == 0) {
      suites[i].run();
      ++ran;
    }
  }
  CHECK(ran > 0);
  return failures == 0 ? 0 : 1;
}
