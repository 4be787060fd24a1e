// The same by @gcoredev/proxy-wasm-sdk-as 1.2.3 (AssemblyScript 0.28.20 with the WASI shim).
export * from "@gcoredev/proxy-wasm-sdk-as/assembly/proxy";
import {
  BufferTypeValues, Context, FilterDataStatusValues, FilterHeadersStatusValues, RootContext,
  get_buffer_bytes, registerRootContext, stream_context
} from "@gcoredev/proxy-wasm-sdk-as/assembly";

class Root extends RootContext {
  createContext(context_id: u32): Context {
    return new Stream(context_id, this);
  }
}

class Stream extends Context {
  whole: bool = false; // waits for the end of the body, as x-whole asks for
  constructor(context_id: u32, root_context: Root) {
    super(context_id, root_context);
  }
  onRequestHeaders(a: u32, end_of_stream: bool): FilterHeadersStatusValues {
    this.whole = stream_context.headers.request.get("x-whole") == "yes";
    stream_context.headers.request.add("x-gcore", "request");
    return FilterHeadersStatusValues.Continue;
  }
  onResponseHeaders(a: u32, end_of_stream: bool): FilterHeadersStatusValues {
    stream_context.headers.response.add("x-filter", "gcore");
    return FilterHeadersStatusValues.Continue;
  }
  onResponseBody(size: usize, end_of_stream: bool): FilterDataStatusValues {
    if (this.whole && !end_of_stream) return FilterDataStatusValues.StopIterationAndBuffer;
    const body = get_buffer_bytes(BufferTypeValues.HttpResponseBody, 0, size as u32);
    if (this.whole) stream_context.headers.response.add("x-whole", body.byteLength.toString());
    return FilterDataStatusValues.Continue;
  }
}

registerRootContext((context_id: u32) => { return new Root(context_id); }, "matrix");
