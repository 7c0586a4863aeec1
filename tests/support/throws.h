#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <string_view>

/// The call throws just this type, and its message holds every fragment.
template <class Expected, class Call>
void expect_throws(const Call& call, std::initializer_list<std::string_view> fragments) {
  try {
    call();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Expected& error) {
    const std::string message = error.what();
    EXPECT_EQ(typeid(error), typeid(Expected)) << message;
    for (const std::string_view fragment : fragments) {
      EXPECT_NE(message.find(fragment), std::string::npos)
          << "\"" << message << "\" lacks \"" << fragment << "\"";
    }
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another type was thrown: " << error.what();
  }
}
