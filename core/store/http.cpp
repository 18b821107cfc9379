// SPDX-License-Identifier: Apache-2.0
#include "core/store/http.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <cerrno>
#include <utility>

// The header makes checking macros of these; here they are members of a table.
#undef curl_easy_setopt
#undef curl_easy_getinfo

namespace vfskit::store {

namespace {

constexpr std::size_t max_answer_bytes = 64 << 20;

/// libcurl's functions, found at run time.
struct Curl {
    decltype(&::curl_global_init) global_init = nullptr;
    decltype(&::curl_easy_init) easy_init = nullptr;
    decltype(&::curl_easy_setopt) easy_setopt = nullptr;
    decltype(&::curl_easy_getinfo) easy_getinfo = nullptr;
    decltype(&::curl_easy_perform) easy_perform = nullptr;
    decltype(&::curl_easy_reset) easy_reset = nullptr;
    decltype(&::curl_easy_cleanup) easy_cleanup = nullptr;
    decltype(&::curl_easy_strerror) easy_strerror = nullptr;
    decltype(&::curl_slist_append) slist_append = nullptr;
    decltype(&::curl_slist_free_all) slist_free_all = nullptr;
};

template <class F>
bool find_symbol(void* library, const char* name, F& function) {
    function = reinterpret_cast<F>(::dlsym(library, name));
    return function != nullptr;
}

Result<Curl> load_curl() {
    void* library = nullptr;
    for (const auto* name : {"libcurl.so.4", "libcurl-gnutls.so.4"}) {
        library = library == nullptr ? ::dlopen(name, RTLD_NOW | RTLD_LOCAL) : library;
    }
    Curl curl;
    const bool is_whole = library != nullptr &&
                          find_symbol(library, "curl_global_init", curl.global_init) &&
                          find_symbol(library, "curl_easy_init", curl.easy_init) &&
                          find_symbol(library, "curl_easy_setopt", curl.easy_setopt) &&
                          find_symbol(library, "curl_easy_getinfo", curl.easy_getinfo) &&
                          find_symbol(library, "curl_easy_perform", curl.easy_perform) &&
                          find_symbol(library, "curl_easy_reset", curl.easy_reset) &&
                          find_symbol(library, "curl_easy_cleanup", curl.easy_cleanup) &&
                          find_symbol(library, "curl_easy_strerror", curl.easy_strerror) &&
                          find_symbol(library, "curl_slist_append", curl.slist_append) &&
                          find_symbol(library, "curl_slist_free_all", curl.slist_free_all);
    if (!is_whole || curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return Error{ENOENT, "libcurl, which speaks to etcd, cannot be loaded"}.with_remedy(
            "Install the package libcurl4, on Debian 13 libcurl4t64");
    }
    return curl;
}

struct Receiver {
    const HttpRequest* request = nullptr;
    std::string body;
    bool is_stopped = false;
};

extern "C" std::size_t receive(char* data, std::size_t size, std::size_t count, void* receiver) {
    auto& self = *static_cast<Receiver*>(receiver);
    const std::string_view piece{data, size * count};
    if (self.request->on_data) {
        self.is_stopped = !self.request->on_data(piece);
        return self.is_stopped ? 0 : piece.size();
    }
    if (self.body.size() + piece.size() > max_answer_bytes) {
        return 0;
    }
    self.body += piece;
    return piece.size();
}

int errno_of(CURLcode code) {
    switch (static_cast<int>(code)) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
        return EHOSTUNREACH;
    case CURLE_OPERATION_TIMEDOUT:
        return ETIMEDOUT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
        return EACCES;
    default:
        return EPROTO;
    }
}

class CurlHttp final : public Http {
public:
    CurlHttp(const Curl& curl, TlsFiles tls, CURL* handle)
        : curl_{curl}, tls_{std::move(tls)}, handle_{handle} {}
    CurlHttp(const CurlHttp&) = delete;
    CurlHttp& operator=(const CurlHttp&) = delete;
    ~CurlHttp() override { curl_.easy_cleanup(handle_); }

    Result<HttpAnswer> post(const HttpRequest& request) override {
        Receiver receiver{.request = &request, .body = {}};
        curl_.easy_reset(handle_); // connections stay open
        curl_slist* headers = curl_.slist_append(nullptr, "Content-Type: application/json");
        if (request.token) {
            headers = curl_.slist_append(headers, ("Authorization: " + *request.token).c_str());
        }
        set(CURLOPT_URL, request.url.c_str());
        set(CURLOPT_POSTFIELDS, request.body.c_str());
        set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
        set(CURLOPT_HTTPHEADER, headers);
        set(CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
        set(CURLOPT_CONNECTTIMEOUT_MS, 2000L);
        set(CURLOPT_NOSIGNAL, 1L);
        set(CURLOPT_NOPROXY, "*");
        set(CURLOPT_WRITEFUNCTION, receive);
        set(CURLOPT_WRITEDATA, &receiver);
        set_file(CURLOPT_CAINFO, tls_.ca);
        set_file(CURLOPT_SSLCERT, tls_.cert);
        set_file(CURLOPT_SSLKEY, tls_.key);
        const CURLcode code = curl_.easy_perform(handle_);
        HttpAnswer answer{.status = 0, .body = std::move(receiver.body)};
        curl_.easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &answer.status);
        curl_.slist_free_all(headers);
        if (code != CURLE_OK && !receiver.is_stopped) {
            return Error{errno_of(code),
                         fmt::format("{}: {}", request.url, curl_.easy_strerror(code))};
        }
        return answer;
    }

private:
    template <class T>
    void set(CURLoption option, T value) {
        curl_.easy_setopt(handle_, option, value);
    }
    void set_file(CURLoption option, const std::optional<std::string>& path) {
        if (path) {
            set(option, path->c_str());
        }
    }

    Curl curl_;
    TlsFiles tls_;
    CURL* handle_;
};

} // namespace

Result<std::unique_ptr<Http>> open_http(TlsFiles tls) {
    static const Result<Curl> curl = load_curl();
    if (!curl) {
        return Error{curl.error()};
    }
    CURL* handle = curl->easy_init();
    if (handle == nullptr) {
        return Error{ENOMEM, "libcurl cannot make a handle"};
    }
    return std::unique_ptr<Http>{std::make_unique<CurlHttp>(*curl, std::move(tls), handle)};
}

} // namespace vfskit::store
