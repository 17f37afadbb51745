#!/bin/sh
# Tomcat's WebdavServlet.
home=/usr/share/tomcat10
mkdir -p "@RUN@/conf" "@RUN@/work" "@RUN@/temp"
cat >"@RUN@/conf/server.xml" <<'END'
<Server port="-1">
  <Service name="Catalina">
    <Connector address="@ADDRESS@" port="@PORT@" maxConnections="100" />
    <Engine name="Catalina" defaultHost="media">
      <Host name="media" autoDeploy="false" deployOnStartup="false">
        <Context path="" docBase="@ROOT@" />
      </Host>
    </Engine>
  </Service>
</Server>
END
cat >"@RUN@/conf/web.xml" <<'END'
<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="5.0">
  <servlet>
    <servlet-name>webdav</servlet-name>
    <servlet-class>org.apache.catalina.servlets.WebdavServlet</servlet-class>
    <init-param><param-name>readonly</param-name><param-value>false</param-value></init-param>
    <init-param><param-name>listings</param-name><param-value>true</param-value></init-param>
  </servlet>
  <servlet-mapping>
    <servlet-name>webdav</servlet-name>
    <url-pattern>/*</url-pattern>
  </servlet-mapping>
</web-app>
END
exec java -Xmx128m -XX:TieredStopAtLevel=1 -Djava.io.tmpdir="@RUN@/temp" -Dcatalina.home="$home" -Dcatalina.base="@RUN@" \
    -cp "$home/bin/bootstrap.jar:$home/bin/tomcat-juli.jar" org.apache.catalina.startup.Bootstrap start
