// SPDX-License-Identifier: Apache-2.0
// libvirt's references, each owned on the line that gets it.
#pragma once

#include <libvirt/libvirt.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

namespace vfskit::vfsctl {

struct VirRelease {
    void operator()(virConnectPtr connect) const { ::virConnectClose(connect); }
    void operator()(virDomainPtr domain) const { ::virDomainFree(domain); }
    void operator()(char* text) const { std::free(text); }
};
using VirConnect = std::unique_ptr<virConnect, VirRelease>;
using VirDomain = std::unique_ptr<virDomain, VirRelease>;
using VirText = std::unique_ptr<char, VirRelease>;

/// A typed parameter list being built or received.
class VirParams {
public:
    VirParams() = default;
    VirParams(const VirParams&) = delete;
    VirParams& operator=(const VirParams&) = delete;
    ~VirParams() { ::virTypedParamsFree(params_, count_); }

    // libvirt fails here only without memory, which ends the process elsewhere.
    void add(const char* name, const std::string& value) {
        ::virTypedParamsAddString(&params_, &count_, &capacity_, name, value.c_str());
    }
    void add(const char* name, std::uint64_t value) {
        ::virTypedParamsAddULLong(&params_, &count_, &capacity_, name, value);
    }
    void add(const char* name, int value) {
        ::virTypedParamsAddInt(&params_, &count_, &capacity_, name, value);
    }
    [[nodiscard]] unsigned long long number(const char* name) const {
        unsigned long long value = 0;
        ::virTypedParamsGetULLong(params_, count_, name, &value);
        return value;
    }
    [[nodiscard]] bool has(const char* name) const {
        return count_ > 0 && ::virTypedParamsGet(params_, count_, name) != nullptr;
    }

    [[nodiscard]] virTypedParameterPtr data() const { return params_; }
    [[nodiscard]] unsigned int size() const { return static_cast<unsigned int>(count_); }
    virTypedParameterPtr* receive() { return &params_; }
    int* receive_count() { return &count_; }

private:
    virTypedParameterPtr params_ = nullptr;
    int count_ = 0;
    int capacity_ = 0;
};

} // namespace vfskit::vfsctl
