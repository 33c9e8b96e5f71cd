package depot.web

import java.io.IOException
import java.util.concurrent.ConcurrentHashMap as Table

typealias Handler = (Request) -> Response?

data class Request(val path: String, val headers: Map<String, String> = emptyMap())

sealed class Response(open val status: Int) {
    object Missing : Response(404)
    class Text(val body: String, override val status: Int = 200) : Response(status)
}

enum class Level { LOW, HIGH }

@Suppress("unused")
class Router(private val fallback: Handler? = null, vararg names: String) {
    private val handlers = Table<String, Handler>()
    var count: Int = 0
        private set

    init {
        for (name in names) {
            handlers.put(name, { request -> Response.Text("hello ${request.path}") })
        }
    }

    fun add(path: String, handler: Handler): Router {
        if (path == null || path.length == 0) {
            throw IllegalArgumentException("no path: '$path'")
        }
        handlers[path] = handler
        count += 1
        return this
    }

    suspend fun answer(request: Request): Response {
        val handler = handlers[request.path] ?: fallback ?: return Response.Missing
        return try {
            handler(request)!!
        } catch (e: IOException) {
            println("failed: " + e.message)
            Response.Text("", status = 500)
        } finally {
            count = count - 1
        }
    }

    fun level(): Level = when {
        count in 0..9 -> Level.LOW
        handlers.isEmpty() || fallback !is Function1<*, *> -> Level.LOW
        else -> Level.HIGH
    }

    companion object {
        const val PREFIX = "/api"

        fun String.withPrefix(): String = if (startsWith(PREFIX)) this else PREFIX + this
    }
}

fun main(args: Array<String>) {
    val router = Router(names = args).add("/a") { Response.Text(it.headers.keys.filter { key -> key.isNotEmpty() }.first()) }
    listOf(1, 2, 3).map { n -> n * 2 }.forEach { println(it) }
    router.add("/b", fun(request: Request): Response? { return null })
}
