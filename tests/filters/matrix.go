// The same by proxy-wasm-go-sdk, compiled by Go itself.
package main

import (
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

type stream struct{ types.DefaultHttpContext }

func (*stream) OnHttpRequestHeaders(n int, end bool) types.Action {
	_ = proxywasm.AddHttpRequestHeader("x-go", "request")
	return types.ActionContinue
}

func (*stream) OnHttpResponseHeaders(n int, end bool) types.Action {
	_ = proxywasm.AddHttpResponseHeader("x-filter", "go")
	return types.ActionContinue
}

func (*stream) OnHttpResponseBody(size int, end bool) types.Action {
	if size > 0 {
		_, _ = proxywasm.GetHttpResponseBody(0, size)
	}
	return types.ActionContinue
}
