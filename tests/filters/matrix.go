// The same by proxy-wasm-go-sdk, compiled by Go itself.
package main

import (
	"strconv"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func main() {}
func init() {
	proxywasm.SetVMContext(&vmContext{})
}

type vmContext struct{ types.DefaultVMContext }

func (*vmContext) NewPluginContext(id uint32) types.PluginContext { return &plugin{} }

type plugin struct{ types.DefaultPluginContext }

func (*plugin) NewHttpContext(id uint32) types.HttpContext { return &stream{} }

type stream struct {
	types.DefaultHttpContext
	whole bool // waits for the end of the body, as x-whole asks for
}

func (s *stream) OnHttpRequestHeaders(n int, end bool) types.Action {
	asked, _ := proxywasm.GetHttpRequestHeader("x-whole")
	s.whole = asked == "yes"
	_ = proxywasm.AddHttpRequestHeader("x-go", "request")
	return types.ActionContinue
}

func (*stream) OnHttpResponseHeaders(n int, end bool) types.Action {
	_ = proxywasm.AddHttpResponseHeader("x-filter", "go")
	return types.ActionContinue
}

func (s *stream) OnHttpResponseBody(size int, end bool) types.Action {
	if s.whole && !end {
		return types.ActionPause
	}
	if size > 0 {
		body, _ := proxywasm.GetHttpResponseBody(0, size)
		if s.whole {
			_ = proxywasm.AddHttpResponseHeader("x-whole", strconv.Itoa(len(body)))
		}
	}
	return types.ActionContinue
}
