-- An interactive Lua: an expression is shown, a statement is run, one that is not complete goes on in the next line.
local load = loadstring or load

local function show(ok, ...)
  if not ok or select("#", ...) > 0 then print(...) end
end

io.write(jit and jit.version or _VERSION, " in worker ", uwsgi.mywid(), "; Ctrl-D ends it\n")
local text = ""
while true do
  io.write(text == "" and "> " or ">> ")
  io.flush()
  local line = io.read()
  if not line then break end
  text = text .. line .. "\n"
  local code = load("return " .. text, "=lua-shell")
  local wrong
  if not code then code, wrong = load(text, "=lua-shell") end
  if code then
    show(xpcall(code, debug.traceback))
    text = ""
  elseif not wrong:find("<eof>", 1, true) then
    print(wrong)
    text = ""
  end
end
io.write("\n")
io.flush()
