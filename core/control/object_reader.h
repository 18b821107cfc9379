// SPDX-License-Identifier: Apache-2.0
// Private to the room: its JSON, and how members are taken out of it.
#pragma once

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace vfskit::control {

using Json = nlohmann::ordered_json;

/// One line; bytes that are not UTF-8 are replaced (U+FFFD).
inline std::string dump(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Takes members out of one object; remembers the first that was wrong.
class ObjectReader {
public:
    ObjectReader(const Json& object, std::string where) : where_{std::move(where)} {
        if (object.is_object()) {
            object_ = &object;
        } else {
            fault_ = fmt::format("{} is not an object", where_);
        }
    }

    void read(const char* name, std::string& value) {
        if (const auto* member = find(name, &Json::is_string, "a string")) {
            value = member->get<std::string>();
        }
    }
    void read(const char* name, bool& value) {
        if (const auto* member = find(name, &Json::is_boolean, "true or false")) {
            value = member->get<bool>();
        }
    }
    template <std::unsigned_integral T>
    void read(const char* name, T& value) {
        const auto* member = find(name, &Json::is_number_unsigned, "a number");
        if (member == nullptr) {
            return;
        }
        const auto number = member->get<std::uint64_t>();
        if (number > std::numeric_limits<T>::max()) {
            fail(fmt::format("'{}' of {} is too large", name, where_));
            return;
        }
        value = static_cast<T>(number);
    }
    template <class Rep, class Period>
    void read(const char* name, std::chrono::duration<Rep, Period>& value) {
        std::uint64_t number = 0;
        read(name, number);
        value = std::chrono::duration<Rep, Period>{static_cast<Rep>(number)};
    }
    /// Calls `each(element)` for the elements of an array.
    template <class Each>
    void read_array(const char* name, Each each) {
        if (const auto* member = find(name, &Json::is_array, "an array")) {
            for (const auto& element : *member) {
                each(element);
            }
        }
    }
    void read_numbers(const char* name, std::vector<std::uint64_t>& values) {
        read_array(name, [&](const Json& element) {
            if (element.is_number_unsigned()) {
                values.push_back(element.get<std::uint64_t>());
            } else {
                fail(fmt::format("'{}' of {} holds something that is not a number", name, where_));
            }
        });
    }
    void fail(std::string fault) {
        if (fault_.empty()) {
            fault_ = std::move(fault);
        }
    }
    [[nodiscard]] const std::string& fault() const { return fault_; }

private:
    const Json* find(const char* name, bool (Json::*is_type)() const noexcept, const char* type) {
        if (object_ == nullptr) {
            return nullptr;
        }
        const auto member = object_->find(name);
        if (member == object_->end()) {
            fail(fmt::format("{} has no '{}'", where_, name));
            return nullptr;
        }
        if (!((*member).*is_type)()) {
            fail(fmt::format("'{}' of {} is not {}", name, where_, type));
            return nullptr;
        }
        return &*member;
    }

    const Json* object_ = nullptr;
    std::string where_;
    std::string fault_;
};

} // namespace vfskit::control
