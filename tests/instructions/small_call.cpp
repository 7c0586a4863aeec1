// Makes a number of small training calls, for callgrind: small_call.py counts the instructions of
// one more call. It has one thread, so that no waiting is counted.

#include <halnorm/halnorm.h>

#include <exception>
#include <iostream>
#include <string>

int main(int argc, char** argv) {
  try {
    const int calls = argc > 1 ? std::stoi(argv[1]) : 1;
    const bool with_out = argc > 2 && std::string(argv[2]) == "out";
    halnorm::set_num_threads(1);
    halnorm::nn::BatchNorm1d module(100);
    const auto x = halnorm::Tensor::randn({20, 100}, 1);
    auto y = halnorm::Tensor::empty({20, 100});
    for (int i = 0; i < calls; ++i) {
      if (with_out) {
        module(x, y);
      } else {
        module(x);
      }
    }
    std::cout << halnorm::last_kernel() << '\n';
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "small_call: " << error.what() << '\n';
    return 1;
  }
}
