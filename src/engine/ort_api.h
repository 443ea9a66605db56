// SPDX-License-Identifier: Apache-2.0
//
// The part of ONNX Runtime's C interface that aipc calls, declared by us.
//
// The runtime is a shared library that is opened at run time; nothing of it is compiled in and its header is
// not needed to build aipc. What the library hands out is a table of function pointers that only ever grows
// at its end, so a function *is* its position in that table. The three X-macro tables below give name,
// position, return type and parameters of each function we use; ort_load.c turns them into a struct of typed
// pointers.
//
// Type and function names are ONNX Runtime's own, so that its documentation can be searched for them.
// Positions, signatures, enum values and struct fields are checked against an official header by
// tools/check_ort_api.py.
//
// Rules that hold for the whole interface:
//  - A returned OrtStatus is NULL on success; otherwise the caller owns it (ReleaseStatus).
//  - What a Create*/Get* function returns through a `T **` is owned by the caller; through a `const T **` it
//  is borrowed.
//  - Strings returned through `char **` next to an allocator are freed with AllocatorFree on that allocator.
//  - Every Release* function accepts NULL.
#ifndef AP_ENGINE_ORT_API_H
#define AP_ENGINE_ORT_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The interface version we ask the library for. Release 1.N accepts every version up to N (asked of 1.31.1),
// so 1.28 and older refuse this one; a refusal makes the library itself print a line on stderr.
#define AP_ORT_API_VERSION 29u

// Opaque to us: created, passed around and released through the tables only. The two tables themselves are
// opaque as well, because they are read by position.
typedef struct OrtApi OrtApi;
typedef struct OrtApiBase OrtApiBase;
typedef struct OrtCompileApi OrtCompileApi;
typedef struct OrtAllocator OrtAllocator;
typedef struct OrtEnv OrtEnv;
typedef struct OrtEpAssignedNode OrtEpAssignedNode;
typedef struct OrtEpAssignedSubgraph OrtEpAssignedSubgraph;
typedef struct OrtEpDevice OrtEpDevice;
typedef struct OrtHardwareDevice OrtHardwareDevice;
typedef struct OrtIoBinding OrtIoBinding;
typedef struct OrtKeyValuePairs OrtKeyValuePairs;
typedef struct OrtMapTypeInfo OrtMapTypeInfo;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtModelCompilationOptions OrtModelCompilationOptions;
typedef struct OrtModelMetadata OrtModelMetadata;
typedef struct OrtOptionalTypeInfo OrtOptionalTypeInfo;
typedef struct OrtPrepackedWeightsContainer OrtPrepackedWeightsContainer;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtSequenceTypeInfo OrtSequenceTypeInfo;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtStatus OrtStatus;
typedef struct OrtTensorTypeAndShapeInfo OrtTensorTypeAndShapeInfo;
typedef struct OrtThreadingOptions OrtThreadingOptions;
typedef struct OrtTypeInfo OrtTypeInfo;
typedef struct OrtValue OrtValue;

typedef enum OrtErrorCode {
    ORT_OK = 0,
    ORT_FAIL = 1,
    ORT_INVALID_ARGUMENT = 2,
    ORT_NO_SUCHFILE = 3,
    ORT_NO_MODEL = 4,
    ORT_ENGINE_ERROR = 5,
    ORT_RUNTIME_EXCEPTION = 6,
    ORT_INVALID_PROTOBUF = 7,
    ORT_MODEL_LOADED = 8,
    ORT_NOT_IMPLEMENTED = 9,
    ORT_INVALID_GRAPH = 10,
    ORT_EP_FAIL = 11,
    ORT_MODEL_LOAD_CANCELED = 12,
    ORT_MODEL_REQUIRES_COMPILATION = 13,
    ORT_NOT_FOUND = 14,
    ORT_DEVICE_RESET = 15, // not in 1.26
} OrtErrorCode;

typedef enum OrtLoggingLevel {
    ORT_LOGGING_LEVEL_VERBOSE = 0,
    ORT_LOGGING_LEVEL_INFO = 1,
    ORT_LOGGING_LEVEL_WARNING = 2,
    ORT_LOGGING_LEVEL_ERROR = 3,
    ORT_LOGGING_LEVEL_FATAL = 4,
} OrtLoggingLevel;

// The same numbers as TensorProto.DataType of the ONNX format up to 23, but not after it: there FLOAT8E8M0 is
// 24, UINT2 25 and INT2 26. Translate, never cast.
typedef enum ONNXTensorElementDataType {
    ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED = 0,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT = 1,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 = 2,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8 = 3,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16 = 4,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16 = 5,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32 = 6,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 = 7,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING = 8,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL = 9,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16 = 10,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE = 11,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32 = 12,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64 = 13,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX64 = 14,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX128 = 15,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16 = 16,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E4M3FN = 17,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E4M3FNUZ = 18,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2 = 19,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2FNUZ = 20,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT4 = 21,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_INT4 = 22,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT4E2M1 = 23,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT2 = 24,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_INT2 = 25,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E8M0 = 26, // not in 1.26
} ONNXTensorElementDataType;

typedef enum ONNXType {
    ONNX_TYPE_UNKNOWN = 0,
    ONNX_TYPE_TENSOR = 1,
    ONNX_TYPE_SEQUENCE = 2,
    ONNX_TYPE_MAP = 3,
    ONNX_TYPE_OPAQUE = 4,
    ONNX_TYPE_SPARSETENSOR = 5,
    ONNX_TYPE_OPTIONAL = 6,
} ONNXType;

typedef enum GraphOptimizationLevel {
    ORT_DISABLE_ALL = 0,
    ORT_ENABLE_BASIC = 1,
    ORT_ENABLE_EXTENDED = 2,
    ORT_ENABLE_LAYOUT = 3,
    ORT_ENABLE_ALL = 99,
} GraphOptimizationLevel;

typedef enum ExecutionMode {
    ORT_SEQUENTIAL = 0,
    ORT_PARALLEL = 1,
} ExecutionMode;

typedef enum OrtAllocatorType {
    OrtInvalidAllocator = -1,
    OrtDeviceAllocator = 0,
    OrtArenaAllocator = 1,
    OrtReadOnlyAllocator = 2,
} OrtAllocatorType;

typedef enum OrtMemType {
    OrtMemTypeCPUInput = -2,
    OrtMemTypeCPUOutput = -1,
    OrtMemTypeDefault = 0,
} OrtMemType;

typedef enum OrtHardwareDeviceType {
    OrtHardwareDeviceType_CPU = 0,
    OrtHardwareDeviceType_GPU = 1,
    OrtHardwareDeviceType_NPU = 2,
} OrtHardwareDeviceType;

// Verdict of a plugin about a compiled model. The x86 emulator always says NOT_APPLICABLE.
typedef enum OrtCompiledModelCompatibility {
    OrtCompiledModelCompatibility_EP_NOT_APPLICABLE = 0,
    OrtCompiledModelCompatibility_EP_SUPPORTED_OPTIMAL = 1,
    OrtCompiledModelCompatibility_EP_SUPPORTED_PREFER_RECOMPILATION = 2,
    OrtCompiledModelCompatibility_EP_UNSUPPORTED = 3,
} OrtCompiledModelCompatibility;

// Bits for ModelCompilationOptions_SetFlags.
typedef enum OrtCompileApiFlags {
    OrtCompileApiFlags_NONE = 0,
    OrtCompileApiFlags_ERROR_IF_NO_NODES_COMPILED = 1,
    OrtCompileApiFlags_ERROR_IF_OUTPUT_FILE_EXISTS = 2,
} OrtCompileApiFlags;

// Receives every log line of the severity in force or above. May be called from any thread of the library,
// also while a call of ours is running; the strings live only during the call.
typedef void (*OrtLoggingFunction)(void *param, OrtLoggingLevel severity, const char *category,
                                   const char *logid, const char *code_location, const char *message);

// Told of the end of RunAsync, on a thread of the library.
typedef void (*RunAsyncCallbackFn)(void *user, OrtValue **outputs, size_t num_outputs, OrtStatus *status);

// Argument of CreateEnvWithOptions. `version` tells the library how many of the fields exist: set
// AP_ORT_API_VERSION. Everything is borrowed for the call; pointers other than log_id may be NULL.
typedef struct OrtEnvCreationOptions {
    uint32_t version;
    int32_t logging_severity_level;
    const char *log_id;
    OrtLoggingFunction custom_logging_function;
    void *custom_logging_param;
    const OrtThreadingOptions *threading_options;
    const OrtKeyValuePairs *config_entries;
} OrtEnvCreationOptions;

// clang-format off

// X(name, position in OrtApiBase, return type, (parameters))
#define AP_ORT_BASE_FUNCTIONS(X) \
    X(GetApi,                                      0, const OrtApi *, (uint32_t version)) \
    X(GetVersionString,                            1, const char *, (void))

// X(name, position in OrtApi, return type, (parameters))
#define AP_ORT_FUNCTIONS(X) \
    /* status */ \
    X(CreateStatus,                                0, OrtStatus *, (OrtErrorCode code, const char *message)) \
    X(GetErrorCode,                                1, OrtErrorCode, (const OrtStatus *status)) \
    X(GetErrorMessage,                             2, const char *, (const OrtStatus *status)) \
    X(ReleaseStatus,                              93, void, (OrtStatus *status)) \
    /* environment and library */ \
    X(CreateEnv,                                   3, OrtStatus *, (OrtLoggingLevel severity, const char *logid, OrtEnv **out)) \
    X(CreateEnvWithOptions,                      406, OrtStatus *, (const OrtEnvCreationOptions *options, OrtEnv **out)) \
    X(ReleaseEnv,                                 92, void, (OrtEnv *env)) \
    X(GetAvailableProviders,                     125, OrtStatus *, (char ***out, int *count)) \
    X(ReleaseAvailableProviders,                 126, OrtStatus *, (char **names, int count)) \
    X(GetBuildInfoString,                        254, const char *, (void)) \
    /* session options */ \
    X(CreateSessionOptions,                       10, OrtStatus *, (OrtSessionOptions **out)) \
    X(CloneSessionOptions,                        12, OrtStatus *, (const OrtSessionOptions *options, OrtSessionOptions **out)) \
    X(ReleaseSessionOptions,                     100, void, (OrtSessionOptions *options)) \
    X(SetOptimizedModelFilePath,                  11, OrtStatus *, (OrtSessionOptions *options, const char *path)) \
    X(SetSessionExecutionMode,                    13, OrtStatus *, (OrtSessionOptions *options, ExecutionMode mode)) \
    X(EnableProfiling,                            14, OrtStatus *, (OrtSessionOptions *options, const char *file_prefix)) \
    X(DisableProfiling,                           15, OrtStatus *, (OrtSessionOptions *options)) \
    X(DisableMemPattern,                          17, OrtStatus *, (OrtSessionOptions *options)) \
    X(DisableCpuMemArena,                         19, OrtStatus *, (OrtSessionOptions *options)) \
    X(SetSessionLogId,                            20, OrtStatus *, (OrtSessionOptions *options, const char *log_id)) \
    X(SetSessionLogVerbosityLevel,                21, OrtStatus *, (OrtSessionOptions *options, int level)) \
    X(SetSessionLogSeverityLevel,                 22, OrtStatus *, (OrtSessionOptions *options, int level)) \
    X(SetSessionGraphOptimizationLevel,           23, OrtStatus *, (OrtSessionOptions *options, GraphOptimizationLevel level)) \
    X(SetIntraOpNumThreads,                       24, OrtStatus *, (OrtSessionOptions *options, int threads)) \
    X(SetInterOpNumThreads,                       25, OrtStatus *, (OrtSessionOptions *options, int threads)) \
    X(AddFreeDimensionOverrideByName,            124, OrtStatus *, (OrtSessionOptions *options, const char *dim_name, int64_t value)) \
    X(AddSessionConfigEntry,                     130, OrtStatus *, (OrtSessionOptions *options, const char *key, const char *value)) \
    X(SetUserLoggingFunction,                    266, OrtStatus *, (OrtSessionOptions *options, OrtLoggingFunction function, void *param)) \
    X(SetDeterministicCompute,                   273, OrtStatus *, (OrtSessionOptions *options, bool value)) \
    /* Two parallel arrays of option keys and values; all devices must belong to one execution provider. */ \
    X(SessionOptionsAppendExecutionProvider_V2,  304, OrtStatus *, (OrtSessionOptions *options, OrtEnv *env, \
        const OrtEpDevice *const *devices, size_t num_devices, const char *const *keys, const char *const *values, size_t num_options)) \
    /* sessions; the bytes given to CreateSessionFromArray need not outlive the call */ \
    X(CreateSession,                               7, OrtStatus *, (const OrtEnv *env, const char *path, const OrtSessionOptions *options, OrtSession **out)) \
    X(CreateSessionFromArray,                      8, OrtStatus *, (const OrtEnv *env, const void *data, size_t size_bytes, \
        const OrtSessionOptions *options, OrtSession **out)) \
    /* outputs[i] NULL: the library allocates it and the caller owns it; otherwise it is filled in place */ \
    X(Run,                                         9, OrtStatus *, (OrtSession *session, const OrtRunOptions *options, \
        const char *const *input_names, const OrtValue *const *inputs, size_t num_inputs, \
        const char *const *output_names, size_t num_outputs, OrtValue **outputs)) \
    X(RunWithBinding,                            133, OrtStatus *, (OrtSession *session, const OrtRunOptions *options, const OrtIoBinding *binding)) \
    X(RunAsync,                                  260, OrtStatus *, (OrtSession *session, const OrtRunOptions *options, \
        const char *const *input_names, const OrtValue *const *inputs, size_t num_inputs, \
        const char *const *output_names, size_t num_outputs, OrtValue **outputs, RunAsyncCallbackFn callback, void *user)) \
    X(CreateSessionWithPrepackedWeightsContainer, 168, OrtStatus *, (const OrtEnv *env, const char *path, const OrtSessionOptions *options, \
        OrtPrepackedWeightsContainer *weights, OrtSession **out)) \
    X(CreateSessionFromArrayWithPrepackedWeightsContainer, 169, OrtStatus *, (const OrtEnv *env, const void *data, size_t size_bytes, \
        const OrtSessionOptions *options, OrtPrepackedWeightsContainer *weights, OrtSession **out)) \
    X(ReleaseSession,                             95, void, (OrtSession *session)) \
    X(SessionGetInputCount,                       30, OrtStatus *, (const OrtSession *session, size_t *out)) \
    X(SessionGetOutputCount,                      31, OrtStatus *, (const OrtSession *session, size_t *out)) \
    X(SessionGetOverridableInitializerCount,      32, OrtStatus *, (const OrtSession *session, size_t *out)) \
    X(SessionGetInputTypeInfo,                    33, OrtStatus *, (const OrtSession *session, size_t index, OrtTypeInfo **out)) \
    X(SessionGetOutputTypeInfo,                   34, OrtStatus *, (const OrtSession *session, size_t index, OrtTypeInfo **out)) \
    X(SessionGetInputName,                        36, OrtStatus *, (const OrtSession *session, size_t index, OrtAllocator *allocator, char **out)) \
    X(SessionGetOutputName,                       37, OrtStatus *, (const OrtSession *session, size_t index, OrtAllocator *allocator, char **out)) \
    X(SessionEndProfiling,                       110, OrtStatus *, (OrtSession *session, OrtAllocator *allocator, char **out_path)) \
    /* model metadata */ \
    X(SessionGetModelMetadata,                   111, OrtStatus *, (const OrtSession *session, OrtModelMetadata **out)) \
    X(ModelMetadataGetProducerName,              112, OrtStatus *, (const OrtModelMetadata *metadata, OrtAllocator *allocator, char **out)) \
    X(ModelMetadataGetGraphName,                 113, OrtStatus *, (const OrtModelMetadata *metadata, OrtAllocator *allocator, char **out)) \
    X(ModelMetadataLookupCustomMetadataMap,      116, OrtStatus *, (const OrtModelMetadata *metadata, OrtAllocator *allocator, const char *key, char **out)) \
    X(ModelMetadataGetVersion,                   117, OrtStatus *, (const OrtModelMetadata *metadata, int64_t *out)) \
    X(ModelMetadataGetCustomMetadataMapKeys,     123, OrtStatus *, (const OrtModelMetadata *metadata, OrtAllocator *allocator, char ***out, int64_t *count)) \
    X(ReleaseModelMetadata,                      118, void, (OrtModelMetadata *metadata)) \
    /* run options */ \
    X(CreateRunOptions,                           39, OrtStatus *, (OrtRunOptions **out)) \
    X(RunOptionsSetRunLogSeverityLevel,           41, OrtStatus *, (OrtRunOptions *options, int level)) \
    X(RunOptionsSetRunTag,                        42, OrtStatus *, (OrtRunOptions *options, const char *tag)) \
    X(RunOptionsSetTerminate,                     46, OrtStatus *, (OrtRunOptions *options)) \
    X(RunOptionsUnsetTerminate,                   47, OrtStatus *, (OrtRunOptions *options)) \
    X(AddRunConfigEntry,                         165, OrtStatus *, (OrtRunOptions *options, const char *key, const char *value)) \
    X(ReleaseRunOptions,                          97, void, (OrtRunOptions *options)) \
    /* types; the Cast* functions give NULL when the type is of another kind, and what they give is borrowed */ \
    X(GetOnnxTypeFromTypeInfo,                    56, OrtStatus *, (const OrtTypeInfo *type, ONNXType *out)) \
    X(CastTypeInfoToTensorInfo,                   55, OrtStatus *, (const OrtTypeInfo *type, const OrtTensorTypeAndShapeInfo **out)) \
    X(CastTypeInfoToMapTypeInfo,                 103, OrtStatus *, (const OrtTypeInfo *type, const OrtMapTypeInfo **out)) \
    X(CastTypeInfoToSequenceTypeInfo,            104, OrtStatus *, (const OrtTypeInfo *type, const OrtSequenceTypeInfo **out)) \
    X(CastTypeInfoToOptionalTypeInfo,            250, OrtStatus *, (const OrtTypeInfo *type, const OrtOptionalTypeInfo **out)) \
    X(GetMapKeyType,                             105, OrtStatus *, (const OrtMapTypeInfo *map, ONNXTensorElementDataType *out)) \
    X(GetMapValueType,                           106, OrtStatus *, (const OrtMapTypeInfo *map, OrtTypeInfo **out)) \
    X(GetSequenceElementType,                    107, OrtStatus *, (const OrtSequenceTypeInfo *sequence, OrtTypeInfo **out)) \
    X(GetOptionalContainedTypeInfo,              251, OrtStatus *, (const OrtOptionalTypeInfo *optional, OrtTypeInfo **out)) \
    X(ReleaseTypeInfo,                            98, void, (OrtTypeInfo *type)) \
    /* element type and shape; an unknown dimension is -1, and its symbolic name is borrowed and "" when it has none */ \
    X(GetTensorElementType,                       60, OrtStatus *, (const OrtTensorTypeAndShapeInfo *info, ONNXTensorElementDataType *out)) \
    X(GetDimensionsCount,                         61, OrtStatus *, (const OrtTensorTypeAndShapeInfo *info, size_t *out)) \
    X(GetDimensions,                              62, OrtStatus *, (const OrtTensorTypeAndShapeInfo *info, int64_t *out, size_t rank)) \
    X(GetSymbolicDimensions,                      63, OrtStatus *, (const OrtTensorTypeAndShapeInfo *info, const char **out, size_t rank)) \
    X(GetTensorShapeElementCount,                 64, OrtStatus *, (const OrtTensorTypeAndShapeInfo *info, size_t *out)) \
    X(TensorTypeAndShape_HasShape,               390, bool, (const OrtTensorTypeAndShapeInfo *info)) \
    X(ReleaseTensorTypeAndShapeInfo,              99, void, (OrtTensorTypeAndShapeInfo *info)) \
    /* values; CreateTensorWithDataAsOrtValue borrows the data for the life of the value */ \
    X(CreateTensorAsOrtValue,                     48, OrtStatus *, (OrtAllocator *allocator, const int64_t *dims, size_t rank, \
        ONNXTensorElementDataType type, OrtValue **out)) \
    X(CreateTensorWithDataAsOrtValue,             49, OrtStatus *, (const OrtMemoryInfo *memory, void *data, size_t size_bytes, \
        const int64_t *dims, size_t rank, ONNXTensorElementDataType type, OrtValue **out)) \
    X(ReleaseValue,                               96, void, (OrtValue *value)) \
    X(IsTensor,                                   50, OrtStatus *, (const OrtValue *value, int *out)) \
    X(HasValue,                                  192, OrtStatus *, (const OrtValue *value, int *out)) \
    X(GetValueType,                               67, OrtStatus *, (const OrtValue *value, ONNXType *out)) \
    X(GetTypeInfo,                                66, OrtStatus *, (const OrtValue *value, OrtTypeInfo **out)) \
    X(GetTensorTypeAndShape,                      65, OrtStatus *, (const OrtValue *value, OrtTensorTypeAndShapeInfo **out)) \
    X(GetTensorMutableData,                       51, OrtStatus *, (OrtValue *value, void **out)) \
    X(GetTensorData,                             378, OrtStatus *, (const OrtValue *value, const void **out)) \
    X(GetTensorSizeInBytes,                      318, OrtStatus *, (const OrtValue *value, size_t *out)) \
    /* sequences: element 0..count-1; maps: 0 is the tensor of keys, 1 the tensor of values; each result is a copy */ \
    X(GetValue,                                   80, OrtStatus *, (const OrtValue *value, int index, OrtAllocator *allocator, OrtValue **out)) \
    X(GetValueCount,                              81, OrtStatus *, (const OrtValue *value, size_t *out)) \
    X(CreateValue,                                82, OrtStatus *, (const OrtValue *const *parts, size_t count, ONNXType type, OrtValue **out)) \
    /* string tensors: contents come as one run of bytes without terminators plus the start of each string */ \
    X(FillStringTensor,                           52, OrtStatus *, (OrtValue *value, const char *const *strings, size_t count)) \
    X(GetStringTensorDataLength,                  53, OrtStatus *, (const OrtValue *value, size_t *out)) \
    X(GetStringTensorContent,                     54, OrtStatus *, (const OrtValue *value, void *bytes, size_t size_bytes, size_t *offsets, size_t count)) \
    /* memory; the default allocator belongs to the library and is never released */ \
    X(GetAllocatorWithDefaultOptions,             78, OrtStatus *, (OrtAllocator **out)) \
    X(AllocatorAlloc,                             75, OrtStatus *, (OrtAllocator *allocator, size_t size_bytes, void **out)) \
    X(AllocatorFree,                              76, OrtStatus *, (OrtAllocator *allocator, void *memory)) \
    X(CreateMemoryInfo,                           68, OrtStatus *, (const char *name, OrtAllocatorType type, int id, OrtMemType mem_type, OrtMemoryInfo **out)) \
    X(CreateCpuMemoryInfo,                        69, OrtStatus *, (OrtAllocatorType type, OrtMemType mem_type, OrtMemoryInfo **out)) \
    X(ReleaseMemoryInfo,                          94, void, (OrtMemoryInfo *info)) \
    /* key-value lists; the library copies what is added, and hands out borrowed arrays */ \
    X(CreateKeyValuePairs,                       295, void, (OrtKeyValuePairs **out)) \
    X(AddKeyValuePair,                           296, void, (OrtKeyValuePairs *pairs, const char *key, const char *value)) \
    X(GetKeyValue,                               297, const char *, (const OrtKeyValuePairs *pairs, const char *key)) \
    X(GetKeyValuePairs,                          298, void, (const OrtKeyValuePairs *pairs, const char *const **keys, const char *const **values, size_t *count)) \
    X(ReleaseKeyValuePairs,                      300, void, (OrtKeyValuePairs *pairs)) \
    /* plugin execution providers; devices are borrowed from the environment until their library is unregistered */ \
    X(RegisterExecutionProviderLibrary,          301, OrtStatus *, (OrtEnv *env, const char *name, const char *path)) \
    X(UnregisterExecutionProviderLibrary,        302, OrtStatus *, (OrtEnv *env, const char *name)) \
    X(GetEpDevices,                              303, OrtStatus *, (const OrtEnv *env, const OrtEpDevice *const **out, size_t *count)) \
    X(EpDevice_EpName,                           312, const char *, (const OrtEpDevice *device)) \
    X(EpDevice_EpVendor,                         313, const char *, (const OrtEpDevice *device)) \
    X(EpDevice_EpMetadata,                       314, const OrtKeyValuePairs *, (const OrtEpDevice *device)) \
    X(EpDevice_EpOptions,                        315, const OrtKeyValuePairs *, (const OrtEpDevice *device)) \
    X(EpDevice_Device,                           316, const OrtHardwareDevice *, (const OrtEpDevice *device)) \
    X(HardwareDevice_Type,                       307, OrtHardwareDeviceType, (const OrtHardwareDevice *hardware)) \
    X(HardwareDevice_VendorId,                   308, uint32_t, (const OrtHardwareDevice *hardware)) \
    X(HardwareDevice_Vendor,                     309, const char *, (const OrtHardwareDevice *hardware)) \
    X(HardwareDevice_DeviceId,                   310, uint32_t, (const OrtHardwareDevice *hardware)) \
    X(HardwareDevice_Metadata,                   311, const OrtKeyValuePairs *, (const OrtHardwareDevice *hardware)) \
    /* node placement: needs session config session.record_ep_graph_assignment_info=1; all results borrowed from the session */ \
    X(Session_GetEpGraphAssignmentInfo,          407, OrtStatus *, (const OrtSession *session, const OrtEpAssignedSubgraph *const **out, size_t *count)) \
    X(EpAssignedSubgraph_GetEpName,              408, OrtStatus *, (const OrtEpAssignedSubgraph *subgraph, const char **out)) \
    X(EpAssignedSubgraph_GetNodes,               409, OrtStatus *, (const OrtEpAssignedSubgraph *subgraph, const OrtEpAssignedNode *const **out, size_t *count)) \
    X(EpAssignedNode_GetName,                    410, OrtStatus *, (const OrtEpAssignedNode *node, const char **out)) \
    X(EpAssignedNode_GetDomain,                  411, OrtStatus *, (const OrtEpAssignedNode *node, const char **out)) \
    X(EpAssignedNode_GetOperatorType,            412, OrtStatus *, (const OrtEpAssignedNode *node, const char **out)) \
    /* compiled models; the table of the compiler is separate, and the compatibility string may come back as NULL */ \
    X(GetCompileApi,                             294, const OrtCompileApi *, (void)) \
    X(GetCompatibilityInfoFromModel,             404, OrtStatus *, (const char *path, const char *ep_name, OrtAllocator *allocator, char **out)) \
    X(GetCompatibilityInfoFromModelBytes,        405, OrtStatus *, (const void *data, size_t size_bytes, const char *ep_name, OrtAllocator *allocator, char **out)) \
    X(GetModelCompatibilityForEpDevices,         388, OrtStatus *, (const OrtEpDevice *const *devices, size_t num_devices, const char *info, \
        OrtCompiledModelCompatibility *out))

// X(name, position in OrtCompileApi, return type, (parameters))
#define AP_ORT_COMPILE_FUNCTIONS(X) \
    X(ReleaseModelCompilationOptions,              0, void, (OrtModelCompilationOptions *options)) \
    X(CreateModelCompilationOptionsFromSessionOptions, 1, OrtStatus *, (const OrtEnv *env, const OrtSessionOptions *session_options, \
        OrtModelCompilationOptions **out)) \
    X(ModelCompilationOptions_SetInputModelPath,   2, OrtStatus *, (OrtModelCompilationOptions *options, const char *path)) \
    X(ModelCompilationOptions_SetInputModelFromBuffer, 3, OrtStatus *, (OrtModelCompilationOptions *options, const void *data, size_t size_bytes)) \
    X(ModelCompilationOptions_SetOutputModelPath,  4, OrtStatus *, (OrtModelCompilationOptions *options, const char *path)) \
    X(ModelCompilationOptions_SetOutputModelExternalInitializersFile, 5, OrtStatus *, (OrtModelCompilationOptions *options, const char *path, \
        size_t threshold_bytes)) \
    X(ModelCompilationOptions_SetOutputModelBuffer, 6, OrtStatus *, (OrtModelCompilationOptions *options, OrtAllocator *allocator, void **data, \
        size_t *size_bytes)) \
    X(ModelCompilationOptions_SetEpContextEmbedMode, 7, OrtStatus *, (OrtModelCompilationOptions *options, bool embed)) \
    X(CompileModel,                                8, OrtStatus *, (const OrtEnv *env, const OrtModelCompilationOptions *options)) \
    X(ModelCompilationOptions_SetFlags,            9, OrtStatus *, (OrtModelCompilationOptions *options, uint32_t flags)) \
    X(ModelCompilationOptions_SetEpContextBinaryInformation, 10, OrtStatus *, (OrtModelCompilationOptions *options, const char *folder, const char *model_name)) \
    X(ModelCompilationOptions_SetGraphOptimizationLevel, 11, OrtStatus *, (OrtModelCompilationOptions *options, GraphOptimizationLevel level))

// clang-format on

// One typed pointer per line of a table, filled by ap_ort_bind.
#define AP_ORT_MEMBER(name, position, result, parameters) result(*name) parameters;

typedef struct ap_ort_fns {
    AP_ORT_FUNCTIONS(AP_ORT_MEMBER)
} ap_ort_fns;

typedef struct ap_ort_compile_fns {
    AP_ORT_COMPILE_FUNCTIONS(AP_ORT_MEMBER)
} ap_ort_compile_fns;

typedef struct ap_ort_base_fns {
    AP_ORT_BASE_FUNCTIONS(AP_ORT_MEMBER)
} ap_ort_base_fns;

#endif
