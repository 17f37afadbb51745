-- What lighttpd-private.conf asks for each request: whether a private file is shown.
-- Fill in the words between @ signs; docs/set-up-a-media-server.md says what each one stands for.

local writers = {
    ["@WRITERS@"] = true,                   -- one line for each address
}
local private = {
    "@PRIVATE@",                            -- one line for each private folder; "/" if all files are private
}
local secrets = {
    ["@SECRET_NAME@"] = "@SECRET@",                 -- one line for each name in RESTO_SECRETS: two while a secret is changed
}
local longest = 86400                       -- seconds that a URL is good at most; "longest" in the settings of the site

local request, c = lighty.r.req_attr, lighty.c

local function is_private(path)
    for _, folder in ipairs(private) do
        if path:sub(1, #folder) == folder then
            return true
        end
    end
    return false
end

-- As mod_secdownload has them: /KEY/TOKEN/TIME/media/invoices/a.pdf
local key, token, since, path = request["uri.path"]:match("^/([%w_-]+)/([%w_-]+)/(%x+)(/.*)$")
local secret = key and secrets[key]
if secret then
    local right = c.b64urlenc(c.hexdec(c.hmac("sha256", secret, "/" .. since .. path)))
    if #since > 12 or not c.secret_eq(token, right) then
        return 403
    end
    if math.abs(c.time() - tonumber(since, 16)) > longest then
        return 410
    end
    request["physical.rel-path"] = path
    request["physical.path"] = request["physical.doc-root"]:gsub("/$", "") .. path
elseif is_private(request["uri.path"]) then
    if not writers[request["request.remote-addr"]] then
        return 403
    end
else
    return 0
end
-- No cache on the way keeps it, in which it would never be too old.
lighty.r.resp_header["Cache-Control"] = "private"
return 0
