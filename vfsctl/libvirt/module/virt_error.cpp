// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/libvirt/module/virt_error.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <cerrno>
#include <string>

namespace vfskit::vfsctl {

namespace {

// Only what our callers tell apart; everything else is EIO with libvirt's own sentence.
int errno_of(int code) {
    switch (code) {
    case VIR_ERR_NO_DOMAIN:
    case VIR_ERR_DEVICE_MISSING:
    case VIR_ERR_NO_DOMAIN_METADATA:
        return ENOENT;
    case VIR_ERR_NO_CONNECT:
    case VIR_ERR_SYSTEM_ERROR:
    case VIR_ERR_RPC:
        return ECONNREFUSED;
    case VIR_ERR_AUTH_FAILED:
    case VIR_ERR_AUTH_CANCELLED:
    case VIR_ERR_AUTH_UNAVAILABLE:
    case VIR_ERR_ACCESS_DENIED:
        return EACCES;
    case VIR_ERR_OPERATION_UNSUPPORTED:
    case VIR_ERR_NO_SUPPORT:
    case VIR_ERR_ARGUMENT_UNSUPPORTED:
        return ENOTSUP;
    case VIR_ERR_CONFIG_UNSUPPORTED:
    case VIR_ERR_XML_ERROR:
    case VIR_ERR_XML_DETAIL:
    case VIR_ERR_XML_INVALID_SCHEMA:
    case VIR_ERR_INVALID_ARG:
        return EINVAL;
    case VIR_ERR_OPERATION_INVALID:
        return EBUSY;
    case VIR_ERR_OPERATION_TIMEOUT:
        return ETIMEDOUT;
    case VIR_ERR_OPERATION_ABORTED:
        return ECANCELED;
    default:
        return EIO;
    }
}

} // namespace

Error last_virt_error(std::string_view doing) {
    const auto* last = ::virGetLastError();
    if (last == nullptr || last->message == nullptr) {
        return Error{EIO, std::string{doing} + ": libvirt gives no reason"};
    }
    std::string sentence{last->message};
    while (!sentence.empty() && (sentence.back() == '\n' || sentence.back() == '.')) {
        sentence.pop_back();
    }
    return Error{errno_of(last->code), std::move(sentence)}.under(doing);
}

} // namespace vfskit::vfsctl
